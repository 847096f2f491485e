"""Control-C during a long call, for the tests of all that may take long.

How soon a call stops is measured in processor time, so that a busy machine changes nothing.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np

PROCESSORS = len(os.sched_getaffinity(0))


def check_control_c_stops(process):
    """A program that prints "ready", "interrupted" and "works" is stopped within a second, and goes on."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    before = _processor_seconds(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted\n"
    assert _processor_seconds(process.pid) - before < PROCESSORS
    # Not communicate(): it would miss what readline() has read ahead.
    assert process.stdout.read() == "works\n"
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def _processor_seconds(process_id):
    """What all threads of a process have used, also after its end, until it is waited for."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def endless_folder(folder):
    """Logits of cat and dog in so many files that no command is done with them before it is stopped."""
    import pyarrow as pa
    import pyarrow.parquet

    folder.mkdir()
    values = np.random.default_rng(0).normal(size=200_000)
    table = pa.table({"logit_cat": values, "logit_dog": -values})
    pyarrow.parquet.write_table(table, folder / "0000.parquet", use_dictionary=False)
    for number in range(1, 150):
        os.link(folder / "0000.parquet", folder / f"{number:04d}.parquet")
