"""Programs that run the GPU kernels on CPU tensors, and what they print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Triton's interpreter, and what Triton compiles for a GPU
WAYS = ("interpreted", pytest.param("compiled", marks=pytest.mark.sweep))


def outcome_of(name, cache, *arguments):
    """Run a program of this folder, which keeps what it compiles in the folder ``cache``."""
    program = Path(__file__).with_name(f"without_gpu_{name}.py")
    command = [sys.executable, "-W", "error", str(program), *arguments]
    environment = os.environ | {"TRITON_CACHE_DIR": str(cache)}
    run = subprocess.run(command, capture_output=True, text=True, timeout=1800, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)
