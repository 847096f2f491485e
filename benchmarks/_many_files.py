"""Shared parts of the benchmarks of files: rows in Parquet files, pools of processes, and their memory."""

import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from softmaxlib import Policy, files
from softmaxlib.calibration import Calibration, MatrixScaling, TemperatureScaling
from softmaxlib.decisions import MinimumCost, PredictionSets, Rule, SelectiveRisk
from softmaxlib.policy import Audit
from softmaxlib.report import Evaluation

Source = Path | Sequence[Path]

CLASSES = 10
ROW_GROUP = 250_000
FITS: dict[str, tuple[Calibration, Rule]] = {
    "temperature and conformal sets": (TemperatureScaling(), PredictionSets()),
    "matrix scaling and bounded risk": (MatrixScaling(), SelectiveRisk(0.2)),
}


def rows(count: int, seed: int) -> pa.Table:
    """Labelled logits of ten classes, about half of them right."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=count, dtype=np.int32)
    logits = 2 * rng.standard_normal((count, CLASSES), dtype=np.float32)
    logits[np.arange(count), labels] += 3
    return pa.table({f"logit_{k}": logits[:, k] for k in range(CLASSES)} | {"truth": labels})


def write_file(path: Path, count: int, seed: int) -> None:
    """Write some rows to a file that is whole or not there."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(".partial")
    pyarrow.parquet.write_table(
        rows(count, seed), unfinished, row_group_size=ROW_GROUP, use_dictionary=False, compression="none"
    )
    unfinished.rename(path)


def fitted() -> Policy:
    """Fit the policy that decides."""
    table = rows(20_000, 1_000_000)
    logits = np.stack([table.column(f"logit_{k}").to_numpy() for k in range(CLASSES)], axis=1)
    rule = MinimumCost(1 - np.eye(CLASSES), abstain_cost=0.2)
    return Policy(TemperatureScaling(), rule).fit(logits, table.column("truth").to_numpy())


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """A pool whose processes have started, of one thread each."""
    with ProcessPoolExecutor(workers, get_context("forkserver"), initializer=one_thread) as executor:
        list(executor.map(time.sleep, [0.2] * 2 * workers))
        yield executor


def one_thread() -> None:
    """Let this process work in one thread, and import what it works with."""
    os.environ["OMP_NUM_THREADS"] = "1"
    pa.set_cpu_count(1)
    import scipy.stats  # noqa: F401


def peak() -> float:
    """This process's largest memory so far, in MB."""
    time.sleep(0.2)  # so that each worker gets one such call
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peaks(executor: Executor, workers: int) -> float:
    """The largest memory of the processes of a pool, in MB."""
    return max(future.result() for future in [executor.submit(peak) for _ in range(2 * workers)])


def seconds_of(work: Callable[..., object], *arguments: object, **options: object) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    work(*arguments, **options)
    return time.perf_counter() - start


def evaluate(source: Source, policy: Policy, sample: int, executor: Executor) -> Evaluation:
    """Evaluate the rows of a source, with the policy."""
    return files.evaluate(source, "truth", policy=policy, sample_rows=sample, executor=executor)


def audit(source: Source, policy: Policy, sample: int, executor: Executor) -> Audit:
    """Audit the policy on the rows of a source."""
    return files.audit(source, "truth", policy, sample_rows=sample, executor=executor)


def fit(source: Source, name: str, sample: int, executor: Executor) -> Policy:
    """Fit one of `FITS` on the rows of a source."""
    return files.fit(source, "truth", *FITS[name], sample_rows=sample, executor=executor)
