"""Draws of tokens by the kernels in Triton, without a GPU."""

import importlib

import numpy as np
import pytest

pytest.importorskip("triton")

import torch
from gpu_programs import WAYS, outcome_of
from triton_compiler import FORBIDDEN, compile_kernel, spilled, vector_loads

from softmaxlib.sampling import Chain, ExcludeTopChoices, _keys
from softmaxlib.torch import _draw_on_gpu

TYPES = {
    **dict.fromkeys(("logits", "scores", "maxima", "kept_scores", "logprob_out", "processed_out"), "*fp32"),
    **dict.fromkeys(("wide_scores", "parts", "heated_parts", "parameters", "best", "drawn"), "*fp64"),
    **dict.fromkeys(("sums", "keys", "kept_masses", "token_out"), "*i64"),
    **dict.fromkeys(("best_token", "blocks", "kept_tokens"), "*i32"),
    **dict.fromkeys(("seed_low", "seed_high", "position"), "u32"),
    **{"rows": "i32", "classes": "i32", "unit": "fp64"},
}
NOTHING = {"history": None, "prompt_length": 0, "bias": None, "allowed": None, "seed": 1, "position": 0}


@pytest.mark.parametrize("way", WAYS)
def test_tokens_and_their_probabilities_have_the_bits_of_the_cpu(way, tmp_path):
    outcome = outcome_of("draws", tmp_path, way)
    assert outcome["seen"] == 24
    assert outcome["differing"] == []


def test_what_no_kernel_knows_is_left_to_the_cpu():
    x = torch.zeros(2, 5)
    assert _draw_on_gpu.draw(Chain(ExcludeTopChoices(0.5)).stages, x, **NOTHING) is NotImplemented
    assert _draw_on_gpu.draw(Chain().stages, x.double(), **NOTHING) is NotImplemented


def test_keys_of_tensors_on_the_device_are_those_of_arrays():
    seed, position = torch.tensor([[5], [-1]]), torch.tensor([3, 2**32 - 1])
    pairs, shape = _draw_on_gpu._own_keys(seed, position, (2, 2), torch.device("cpu"))
    spread = _keys.spread(_keys.check_key(np.array([[5], [2**64 - 1]], np.uint64), position), (2, 2))
    assert shape == spread.shape
    np.testing.assert_array_equal(pairs[:, 0].numpy().view(np.uint64), spread.seed)
    np.testing.assert_array_equal(pairs[:, 1].numpy(), spread.position)
    # one key for several rows makes streams of their own, which is done elsewhere
    assert _draw_on_gpu._own_keys(torch.tensor(5), 0, (2,), torch.device("cpu")) is None
    assert _draw_on_gpu._own_keys(seed, [1, 2], (2, 2), torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("module", "kernel", "vectors", "constants"),
    [
        ("draw_scan", "scan_kernel", 8, {"heat": -1, "has_tail": False}),
        pytest.param("draw_scan", "mass_kernel", 4, {"heat": 0}, marks=pytest.mark.sweep),
        pytest.param("draw_scan", "contest_kernel", 4, {"heat": 0, "keyed": False}, marks=pytest.mark.sweep),
        ("draw_rows", "draw_kernel", 1, {"heat": 0, "keyed": False, "stages": (0, 1, 2), "filters": (1, 2)}),
        ("draw_shares", "share_kernel", 8, {"heat": 0, "whole": False, "segmented": False}),
    ],
)
def test_what_a_kernel_is_compiled_to(module, kernel, vectors, constants, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    function = getattr(importlib.import_module(f"softmaxlib.torch._triton.{module}"), kernel)
    constants |= {"by_row": False, "wide": False, "tile": 1024}
    constants = {name: value for name, value in constants.items() if name in function.arg_names}
    compiled = compile_kernel(function, 90, 8, TYPES, **constants)
    assert vector_loads(compiled) >= vectors
    assert not FORBIDDEN.search(compiled.asm["ptx"])
    assert spilled(compiled, tmp_path) <= 8  # two registers, once in a row
