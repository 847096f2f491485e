"""Files decided, evaluated, audited and fitted on: a worker's memory, two workers, the cost of a file, Dask.

    benchmarks/files.py [MILLIONS OF ROWS] [--large]

Each figure stands beside what it should be. A worker's memory is that above what importing takes. evaluate,
audit and fit look at all rows in passes, with a sample of SAMPLE rows; fits are of two files.

--large: a data set of 100,000,000 x 10 rows (4 GB in the temporary folder, deleted afterwards), once.
"""

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from _processor import processor

from softmaxlib import Policy, files
from softmaxlib.calibration import Calibration, MatrixScaling, TemperatureScaling
from softmaxlib.decisions import MinimumCost, PredictionSets, Rule, SelectiveRisk

CLASSES = 10
FILE_ROWS = 1_000_000
ROW_GROUP = 250_000
SAMPLE = 200_000


def rows(count: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count)
    logits = 2 * rng.standard_normal((count, CLASSES), dtype=np.float32)
    logits[np.arange(count), labels] += 3
    return pa.table({f"logit_{k}": logits[:, k] for k in range(CLASSES)} | {"truth": labels})


def write(folder: Path, number: int, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for index in range(number):
        path = folder / f"{index:04d}.parquet"
        pyarrow.parquet.write_table(
            rows(count, index), path, row_group_size=ROW_GROUP, use_dictionary=False, compression="none"
        )


def fitted() -> Policy:
    table = rows(20_000, 1_000_000)
    logits = np.stack([table.column(f"logit_{k}").to_numpy() for k in range(CLASSES)], axis=1)
    rule = MinimumCost(1 - np.eye(CLASSES), abstain_cost=0.2)
    return Policy(TemperatureScaling(), rule).fit(logits, table.column("truth").to_numpy())


@contextmanager
def processes(workers: int):
    with ProcessPoolExecutor(workers, get_context("forkserver"), initializer=one_thread) as executor:
        list(executor.map(warm, range(4 * workers)))
        yield executor


@contextmanager
def dask(workers: int):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(one_thread)
        yield client.get_executor()


def one_thread() -> None:
    import os

    os.environ["OMP_NUM_THREADS"] = "1"
    pa.set_cpu_count(1)
    warm(0)


def warm(_: int) -> None:
    import softmaxlib.files  # noqa: F401

    time.sleep(0.05)


def peak() -> float:
    """This process's largest memory so far, in MB."""
    time.sleep(0.2)  # so that each worker gets one such call
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peaks(executor: Executor, workers: int) -> float:
    return max(future.result() for future in [executor.submit(peak) for _ in range(2 * workers)])


def timed(source: Path, policy: Policy, executor: Executor | None, repeat: int = 3) -> float:
    times = []
    for _ in range(repeat):
        target = source.parent / "out"
        shutil.rmtree(target, ignore_errors=True)
        start = time.perf_counter()
        files.decide(source, policy, target, executor=executor)
        times.append(time.perf_counter() - start)
    return min(times)


def once(work: Callable[..., object], *arguments: object, **options: object) -> float:
    start = time.perf_counter()
    work(*arguments, **options)
    return time.perf_counter() - start


def evaluated(source: Path, policy: Policy, executor: Executor | None) -> float:
    return once(files.evaluate, source, "truth", policy=policy, sample_rows=SAMPLE, executor=executor)


def audited(source: Path, policy: Policy, executor: Executor | None) -> float:
    return once(files.audit, source, "truth", policy, sample_rows=SAMPLE, executor=executor)


def fitted_by_passes(
    source: Path | list[Path], calibration: Calibration, rule: Rule, executor: Executor | None
) -> float:
    return once(files.fit, source, "truth", calibration, rule, sample_rows=SAMPLE, executor=executor)


PASSES = {
    "temperature and conformal sets": (TemperatureScaling(), PredictionSets()),
    "matrix scaling and bounded risk": (MatrixScaling(), SelectiveRisk(0.2)),
}


def line(what: str, value: str, wanted: str = "") -> None:
    print(f"{what:<66}{value:>10}   {wanted}", flush=True)


def measure(root: Path, million: int, policy: Policy) -> None:
    source, most = root / "rows", "at most 300"
    few = sorted(source.iterdir())[:2]
    with processes(1) as executor:
        before = peaks(executor, 1)

        def memory(what: str) -> None:
            line(f"{what}: a worker's memory above import, MB", f"{peaks(executor, 1) - before:.0f}", most)

        one = timed(source, policy, executor)
        memory("decide")
        alone = {"evaluate": evaluated(source, policy, executor)}
        memory("evaluate")
        alone["audit"] = audited(source, policy, executor)
        for name, (calibration, rule) in PASSES.items():
            alone[name] = fitted_by_passes(few, calibration, rule, executor)
        memory("audit and fit by passes")
        small, whole = timed(root / "small", policy, executor), timed(root / "one", policy, executor)
        of_file = (small - whole) * 10
        line("100 files of 100,000 rows, more than one file: ms a file", f"{of_file:.1f}", "under 10")
    with processes(2) as executor:
        two = timed(source, policy, executor)
        line("decide: two workers against one", f"{one / two:.2f}", "at least 1.7")
        both = {
            "evaluate": evaluated(source, policy, executor),
            "audit": audited(source, policy, executor),
        }
        for name, (calibration, rule) in PASSES.items():
            both[name] = fitted_by_passes(few, calibration, rule, executor)
        for name, seconds in both.items():
            line(f"{name}: two workers against one", f"{alone[name] / seconds:.2f}", "at least 1.7")
    with dask(2) as executor:
        shared = timed(source, policy, executor)
        line("decide: Dask against processes", f"{two / shared:.2f}", "at least 0.9")
    line("decide: million rows a second, one worker", f"{million / one:.2f}")
    for name, seconds in alone.items():
        rows_read = len(few) if name in PASSES else million
        line(f"{name}: million rows a second, one worker", f"{rows_read / seconds:.2f}")
    line("this process's memory in all, MB", f"{peak():.0f}")


def main() -> None:
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    million = numbers[0] if numbers else 4
    print(processor())
    policy = fitted()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "rows", million, FILE_ROWS)
        write(root / "small", 100, 100_000)
        write(root / "one", 1, 100 * 100_000)
        measure(root, million, policy)
        if "--large" in sys.argv:
            large(root, policy)


def large(root: Path, policy: Policy) -> None:
    write(root / "large", 100, 1_000_000)
    source, what = root / "large", "100,000,000 rows"
    with processes(2) as executor:
        before = peaks(executor, 2)
        line(f"{what}: decide, two workers, s", f"{timed(source, policy, executor, 1):.0f}")
        shutil.rmtree(root / "out")
        line(f"{what}: evaluate, two workers, s", f"{evaluated(source, policy, executor):.0f}")
        line(f"{what}: audit, two workers, s", f"{audited(source, policy, executor):.0f}")
        for name, (calibration, rule) in PASSES.items():
            seconds = fitted_by_passes(source, calibration, rule, executor)
            line(f"{what}: {name}, two workers, s", f"{seconds:.0f}")
        line(
            f"{what}: a worker's memory above import, MB", f"{peaks(executor, 2) - before:.0f}", "at most 300"
        )
        line(f"{what}: this process's memory, MB", f"{peak():.0f}")


if __name__ == "__main__":
    main()
