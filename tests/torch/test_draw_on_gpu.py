"""Draws of tokens by the kernels in Triton, without a GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")

import torch

from softmaxlib.sampling import Chain, ExcludeTopChoices
from softmaxlib.torch import _draw_on_gpu

HERE = Path(__file__).parent
NOTHING = {"history": None, "prompt_length": 0, "bias": None, "allowed": None, "seed": 1, "position": 0}


def test_tokens_and_their_probabilities_have_the_bits_of_the_cpu():
    program = [sys.executable, "-W", "error", str(HERE / "interpreted_draws.py")]
    run = subprocess.run(program, capture_output=True, text=True, timeout=900, env=dict(os.environ))
    assert run.returncode == 0, run.stderr[-2000:]
    outcome = json.loads(run.stdout)
    assert outcome["seen"] >= 27
    assert outcome["differing"] == []


def test_what_no_kernel_knows_is_left_to_the_cpu():
    x = torch.zeros(2, 5)
    assert _draw_on_gpu.draw(Chain(ExcludeTopChoices(0.5)).stages, x, **NOTHING) is NotImplemented
    assert _draw_on_gpu.draw(Chain().stages, x.double(), **NOTHING) is NotImplemented
