"""100,000,000 x 10 rows, decided, evaluated, audited and fitted on by two workers, step by step.

    benchmarks/many_rows.py FOLDER [--millions 100] [--steps 1] [--delete]

Each step writes its figures to FOLDER/figures.json when it is done, and a step that is there is not done
again: after a stop, run it again. --steps does at most so many of them. A step takes some minutes at most.
The rows take 4.4 GB in FOLDER/rows; --delete deletes them and the decisions, and keeps the figures.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from _many_files import FITS, audit, evaluate, fit, fitted, one_thread, peak, peaks, processes, write_file
from _processor import processor

from softmaxlib import Policy, files

FILE_ROWS = 1_000_000
SAMPLE = 1_000_000
WORKERS = 2

Figures = dict[str, float | int | str]


def make(folder: Path, million: int) -> Figures:
    """Write the files that are missing."""
    for index in range(million):
        path = folder / "rows" / f"{index:04d}.parquet"
        if not path.exists():
            write_file(path, FILE_ROWS, index)
    size = sum(path.stat().st_size for path in (folder / "rows").iterdir())
    return {"files": million, "gigabytes": round(size / 1e9, 2)}


def decide(folder: Path, policy: Policy, executor: Executor) -> Figures:
    counts = files.decide(folder / "rows", policy, f"{folder}/decisions/", executor=executor, resume=True)
    return {"rows": counts.rows, "set aside": counts.set_aside, "parts that were there": counts.skipped}


def evaluated(folder: Path, policy: Policy, executor: Executor) -> Figures:
    found = evaluate(folder / "rows", policy, SAMPLE, executor)
    after = found.final
    return {
        "rows": found.rows,
        "accuracy": after.figures.accuracy,
        "log loss": after.figures.log_loss,
        "calibration error": after.figures.calibration_error,
        "its p-value": after.calibration_p_value,
    }


def audited(folder: Path, policy: Policy, executor: Executor) -> Figures:
    return {"words": str(audit(folder / "rows", policy, SAMPLE, executor)).splitlines()[0]}


def fitted_on(name: str) -> Callable[[Path, Policy, Executor], Figures]:
    def work(folder: Path, policy: Policy, executor: Executor) -> Figures:
        learned = fit(folder / "rows", name, SAMPLE, executor)
        return {"calibration": learned.calibration.describe(), "rule": learned.rule.describe()}

    return work


STEPS: dict[str, Callable[[Path, Policy, Executor], Figures]] = {
    "decide": decide,
    "evaluate": evaluated,
    "audit": audited,
    **{f"fit: {name}": fitted_on(name) for name in FITS},
}


def measured(work: Callable[[Path, Policy, Executor], Figures], folder: Path, policy: Policy) -> Figures:
    """Do one step, with the time it took, a worker's memory and this process's."""
    with processes(WORKERS) as executor:
        before = peaks(executor, WORKERS)
        start = time.perf_counter()
        found = work(folder, policy, executor)
        seconds = time.perf_counter() - start
        grown = peaks(executor, WORKERS) - before
    return {
        "seconds": round(seconds, 1),
        "a worker's memory above import, MB": round(grown),
        "this process's memory, MB": round(peak()),
        **found,
    }


def steps_to_do(folder: Path, million: int) -> dict[str, Callable[[], Figures]]:
    policy = fitted()
    steps: dict[str, Callable[[], Figures]] = {"make": lambda: make(folder, million)}
    for name, work in STEPS.items():
        steps[name] = lambda work=work: measured(work, folder, policy)
    return steps


def save(path: Path, figures: dict[str, Figures]) -> None:
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(json.dumps(figures, indent=2) + "\n")
    os.replace(unfinished, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--millions", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--delete", action="store_true")
    options = parser.parse_args()
    one_thread()
    options.folder.mkdir(exist_ok=True)
    path = options.folder / "figures.json"
    figures: dict[str, Figures] = {"machine": {"processor": processor()}}
    if path.exists():
        figures = json.loads(path.read_text())
    steps = steps_to_do(options.folder, options.millions)
    missing = [name for name in steps if name not in figures]
    for name in missing[: options.steps]:
        start = time.perf_counter()
        figures[name] = steps[name]()
        save(path, figures)
        print(f"{name}: {time.perf_counter() - start:.0f} s in all; {json.dumps(figures[name])}", flush=True)
    if options.delete:
        for name in ("rows", "decisions"):
            shutil.rmtree(options.folder / name, ignore_errors=True)


if __name__ == "__main__":
    main()
