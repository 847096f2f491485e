"""The commands `evaluate` and `decide` on one large Parquet file, against pyarrow alone.

    benchmarks/whole_files.py [MILLIONS OF ROWS] [FOLDER]

The file has ten columns of float32, an id and the true class. pyarrow reads it, and for `decide` writes the
same output too. Each run is a process of its own, in turns; the fastest counts. `in all` is with the start of
the process, `inside` without its imports. A file that is in the folder is not made again.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from _processor import processor

from softmaxlib import Policy
from softmaxlib.calibration import TemperatureScaling
from softmaxlib.decisions import MinimumCost

CLASSES, ROW_GROUP, REPEAT = 10, 1_000_000, 3

# Each prints the seconds without imports.
TIMED = """
import sys, time
{imports}
start = time.perf_counter()
{work}
print(time.perf_counter() - start)
"""
OURS = "from softmaxlib import files"
THEIRS = "import pyarrow.parquet as parquet"
EVALUATE = "files.evaluate(sys.argv[1], 'label', policy=sys.argv[2])"
DECIDE = "files.decide(sys.argv[1], sys.argv[2], sys.argv[3])"
READ = "parquet.read_table(sys.argv[1])"
WRITE = """
parquet.read_table(sys.argv[1])
held = time.perf_counter()
output = parquet.read_table(sys.argv[2])
start += time.perf_counter() - held
parquet.write_table(output, sys.argv[3], use_dictionary=sys.argv[4].split(","), row_group_size=200_000)
"""


def rows(count: int, first: int) -> pa.Table:
    """Labelled logits of classes that are drawn from them, somewhat too sure."""
    rng = np.random.default_rng(first)
    logits = 2 * rng.standard_normal((count, CLASSES), dtype=np.float32)
    labels = (logits / 1.3 + rng.gumbel(size=logits.shape).astype(np.float32)).argmax(axis=1)
    columns = {f"logit_{k}": np.ascontiguousarray(logits[:, k]) for k in range(CLASSES)}
    return pa.table({"id": np.arange(first, first + count)} | columns | {"label": labels})


def make(path: Path, million: int) -> None:
    if path.exists():
        return
    unfinished = path.with_suffix(".partial")
    with pyarrow.parquet.ParquetWriter(unfinished, rows(1, 0).schema) as writer:
        for number in range(million):
            writer.write_table(rows(ROW_GROUP, number * ROW_GROUP))
    unfinished.rename(path)


def fit(path: Path) -> None:
    table = rows(20_000, 10**9)
    logits = np.stack([table.column(f"logit_{k}").to_numpy() for k in range(CLASSES)], axis=1)
    rule = MinimumCost(1 - np.eye(CLASSES), abstain_cost=0.2)
    policy = Policy(TemperatureScaling(), rule)
    names = list(map(str, range(CLASSES)))
    policy.fit(logits, table.column("label").to_numpy(), class_names=names).save(path)


def run(imports: str, work: str, *arguments: object) -> tuple[float, float]:
    """Return the seconds of a process in all, and those without its imports."""
    import time

    code = TIMED.format(imports=imports, work=work)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, float(done.stdout.split()[-1])


def compare(name: str, ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> None:
    times = np.array([[run(OURS, *ours), run(THEIRS, *theirs)] for _ in range(REPEAT)])
    best = times.min(axis=0)
    for which, what in enumerate(("in all", "inside")):
        mine, other = best[:, which]
        print(
            f"{name:<10}{what:<8}{mine:8.2f} s   pyarrow {other:6.2f} s   ratio {mine / other:5.2f}",
            flush=True,
        )


def main() -> None:
    million = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory() as folder:
        root = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder)
        source, policy = root / f"rows_{million}.parquet", root / "policy.json"
        output, copy = root / "decided.parquet", root / "copy.parquet"
        make(source, million)
        fit(policy)
        print(f"{processor()}; {million},000,000 x {CLASSES}")
        compare("evaluate", (EVALUATE, source, policy), (READ, source))
        run(OURS, DECIDE, source, policy, output)
        kept = [
            column.name
            for column in pyarrow.parquet.read_schema(output)
            if not pa.types.is_floating(column.type)
        ]
        compare("decide", (DECIDE, source, policy, output), (WRITE, source, output, copy, ",".join(kept)))
        sizes = [path.stat().st_size / 1e6 for path in (output, copy)]
        print(f"written: {sizes[0]:.0f} MB, by pyarrow {sizes[1]:.0f} MB")


if __name__ == "__main__":
    main()
