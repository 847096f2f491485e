"""sparsemax and entmax by the kernels in Triton, without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

HERE = Path(__file__).parent


def test_results_have_the_bits_of_the_cpu_kernels():
    program = [sys.executable, "-W", "error", str(HERE / "interpreted_simplex.py")]
    run = subprocess.run(program, capture_output=True, text=True, timeout=900, env=dict(os.environ))
    assert run.returncode == 0, run.stderr[-2000:]
    outcome = json.loads(run.stdout)
    assert outcome["seen"] == 20
    assert outcome["differing"] == []
    assert outcome["worst derivative"] < 0.51
