"""A program that prints a hash, run on every instruction set of this machine and on several threads."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from softmaxlib import _kernels


def hash_of_results(program: str, **environment: str) -> str:
    source = str(Path(_kernels.__file__).parents[1])
    variables = {**os.environ, "PYTHONPATH": source, **environment}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout.strip()


def assert_same_bits_everywhere(program: str) -> None:
    available = [name for name, _, here in _kernels.configuration()["instruction_sets"] if here]
    assert "portable" in available
    hashes = {name: hash_of_results(program, SOFTMAXLIB_ISA=name, OMP_NUM_THREADS="1") for name in available}
    for threads in ("2", "3"):
        hashes[f"{threads} threads"] = hash_of_results(program, OMP_NUM_THREADS=threads)
    assert len(set(hashes.values())) == 1, hashes
    assert len(hashes["portable"]) == hashlib.sha256().digest_size * 2
