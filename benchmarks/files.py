"""Files decided, evaluated, audited and fitted on: a worker's memory, two workers, the cost of a file, Dask.

    benchmarks/files.py [MILLIONS OF ROWS]

Each figure stands beside what it should be. A worker's memory is that above what importing takes. evaluate,
audit and fit look at all rows in passes, with a sample of SAMPLE rows; evaluate and fit are of FEW files.
What two processors are to one depends on the machine: a line says it, of processes that share nothing.
"""

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _many_files import (
    CLASSES,
    FITS,
    audit,
    evaluate,
    fit,
    fitted,
    one_thread,
    peak,
    peaks,
    processes,
    seconds_of,
    write_file,
)
from _processor import processor

from softmaxlib import Policy, files, softmax

FILE_ROWS = 1_000_000
FEW = 4
SAMPLE = 200_000


def write(folder: Path, number: int, count: int) -> Path:
    for index in range(number):
        write_file(folder / f"{index:04d}.parquet", count, index)
    return folder


@contextmanager
def dask(workers: int) -> Iterator[Executor]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.run(one_thread)
        yield client.get_executor()


def softmaxes(times: int) -> None:
    """Some work that needs no memory to speak of, and nobody else."""
    logits = np.random.default_rng(0).standard_normal((1000, CLASSES), dtype=np.float32)
    for _ in range(times):
        softmax(logits)


def best_of_softmaxes(executor: Executor, tasks: int) -> float:
    work = [40_000 // tasks] * tasks
    return min(seconds_of(lambda: list(executor.map(softmaxes, work))) for _ in range(3))


def decided(source: Path, policy: Policy, executor: Executor | None, repeat: int = 3) -> float:
    times = []
    for _ in range(repeat):
        target = source.parent / "out"
        shutil.rmtree(target, ignore_errors=True)
        times.append(seconds_of(files.decide, source, policy, target, executor=executor))
    return min(times)


def dask_against_processes(source: Path, policy: Policy) -> float:
    """Return the best time of processes over that of Dask; each is started anew in every round."""
    best = {processes: math.inf, dask: math.inf}
    for _ in range(3):
        for workers in best:
            with workers(2) as executor:
                best[workers] = min(best[workers], decided(source, policy, executor))
    return best[processes] / best[dask]


def line(what: str, value: str, wanted: str = "") -> None:
    print(f"{what:<66}{value:>10}   {wanted}", flush=True)


def work_on(source: Path, policy: Policy) -> dict[str, tuple[int, Callable[[Executor], object]]]:
    """Return the work that is done in passes, with its millions of rows."""
    every = sorted(source.iterdir())
    few = every[:FEW]
    work: dict[str, tuple[int, Callable[[Executor], object]]] = {
        "evaluate": (len(few), lambda executor: evaluate(few, policy, SAMPLE, executor)),
        "audit": (len(every), lambda executor: audit(every, policy, SAMPLE, executor)),
    }
    for name in FITS:
        work[name] = (len(few), lambda executor, name=name: fit(few, name, SAMPLE, executor))
    return work


def measure(root: Path, million: int, policy: Policy) -> None:
    source, work = root / "rows", work_on(root / "rows", policy)
    with processes(1) as executor:
        alone_softmax = best_of_softmaxes(executor, 1)
        before = peaks(executor, 1)

        def memory(what: str) -> None:
            grown = peaks(executor, 1) - before
            line(f"{what}: a worker's memory above import, MB", f"{grown:.0f}", "at most 300")

        one = decided(source, policy, executor)
        memory("decide")
        alone = {name: seconds_of(call, executor) for name, (_, call) in work.items()}
        memory("evaluate, audit and fit by passes")
        small, whole = decided(root / "small", policy, executor), decided(root / "one", policy, executor)
        of_file = (small - whole) * 10
        line("100 files of 100,000 rows, more than one file: ms a file", f"{of_file:.1f}", "under 10")
    with processes(2) as executor:
        ceiling = alone_softmax / best_of_softmaxes(executor, 2)
        line("this machine: two processes that share nothing against one", f"{ceiling:.2f}")
        two = decided(source, policy, executor)
        line("decide: two workers against one", f"{one / two:.2f}", "at least 1.7")
        for name, (_, call) in work.items():
            ratio = alone[name] / seconds_of(call, executor)
            line(f"{name}: two workers against one", f"{ratio:.2f}", "at least 1.7")
    line("decide: Dask against processes", f"{dask_against_processes(source, policy):.2f}", "at least 0.9")
    line("decide: million rows a second, one worker", f"{million / one:.2f}")
    for name, seconds in alone.items():
        line(f"{name}: million rows a second, one worker", f"{work[name][0] / seconds:.2f}")
    line("this process's memory in all, MB", f"{peak():.0f}")


def main() -> None:
    million = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print(processor())
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root / "rows", million, FILE_ROWS)
        write(root / "small", 100, 100_000)
        write(root / "one", 1, 100 * 100_000)
        start = time.perf_counter()
        measure(root, million, fitted())
        line("all of this, s", f"{time.perf_counter() - start:.0f}")


if __name__ == "__main__":
    main()
