"""A million rows stay within memory, whatever the machine has."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet

ROWS, CLASSES = 1_000_000, 10
MOST_MEMORY = 1.5e9

# A process tells its own peak: ru_maxrss, unlike VmHWM, counts what the parent held when it forked.
PROGRAM = """
import pathlib, resource, sys
from softmaxlib.cli._app import run
status = pathlib.Path("/proc/self/status")
for line in sys.stdin:
    assert run(line.split()) == 0
    if status.exists():
        peak = 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", peak)
"""


def test_a_million_rows_are_fitted_decided_evaluated_and_audited(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=ROWS)
    logits = rng.standard_normal((ROWS, CLASSES), dtype=np.float32)
    logits[np.arange(ROWS), labels] += 2
    columns = {f"logit_{k}": logits[:, k] for k in range(CLASSES)} | {"digit": labels}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "million.parquet", use_dictionary=False)
    commands = [
        "fit million.parquet --label digit --abstain-cost 0.3 -o policy.json",
        "decide million.parquet --policy policy.json -o decisions.parquet",
        "evaluate million.parquet --label digit --policy policy.json --report report.html --json report.json",
        "audit million.parquet --label digit --policy policy.json",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        input="\n".join(commands),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    peaks = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak")]
    assert len(peaks) == 4
    assert peaks[-1] < MOST_MEMORY
    assert pyarrow.parquet.ParquetFile(tmp_path / "decisions.parquet").metadata.num_rows == ROWS
