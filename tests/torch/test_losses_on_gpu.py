"""Cross-entropy by the kernels in Triton, without a GPU."""

import pytest

pytest.importorskip("triton")

import torch
from gpu_programs import WAYS, outcome_of
from triton_compiler import FORBIDDEN, compile_kernel, spilled, vector_loads

from softmaxlib.torch import _gpu


@pytest.mark.parametrize("way", WAYS)
def test_losses_and_gradients_keep_their_bounds(way, tmp_path):
    outcome = outcome_of("losses", tmp_path, way)
    assert outcome["seen"] == 38
    assert outcome["loss"] <= 1
    assert outcome["gradient"] <= 2
    assert outcome["16-bit loss"] <= 0.51
    assert outcome["16-bit gradient"] <= 0.51
    assert outcome["heads"]["torch.float32"] < 2e-6
    assert outcome["heads"]["torch.bfloat16"] < 0.02


@pytest.mark.parametrize(
    "architecture", [90, *(pytest.param(one, marks=pytest.mark.sweep) for one in (80, 100))]
)
def test_what_the_kernel_for_16_bits_is_compiled_to(architecture, tmp_path, monkeypatch):
    from softmaxlib.torch._triton.narrow_loss_rows import narrow_loss_rows_kernel as kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = dict.fromkeys(kernel.arg_names, "fp64") | dict.fromkeys(
        ("logits", "weights", "gradient"), "*bf16"
    )
    types |= dict.fromkeys(("upstream", "losses", "counts", "sums"), "*fp64") | {
        "labels": "*i64",
        "ignored": "i64",
    }
    types |= dict.fromkeys(("rows", "classes", "upstream_stride"), "i32")
    types |= dict.fromkeys(("row_stride", "gradient_stride"), "i64")
    constants = {"weighted": False, "loss": False, "derivative": True, "recalls": architecture == 80}
    constants |= {"levels": 11, "tiles": 4}
    compiled = compile_kernel(kernel, architecture, 8, types, **constants)
    assert not FORBIDDEN.search(compiled.asm["ptx"])
    # a row is read once for the derivative, and once before for its sum, unless that is recalled
    assert vector_loads(compiled) == (4 if architecture == 80 else 2 * 4)
    assert spilled(compiled, tmp_path) <= 64


@pytest.mark.parametrize(("architecture", "dtype"), [(80, "fp32"), (90, "bf16"), (100, "second")])
def test_what_the_kernel_for_binary_logits_is_compiled_to(architecture, dtype, tmp_path, monkeypatch):
    from softmaxlib.torch._triton import sigmoid_losses

    second, dtype = dtype == "second", "fp32" if dtype == "second" else dtype
    kernel = sigmoid_losses.second_sigmoid_losses_kernel if second else sigmoid_losses.sigmoid_losses_kernel
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = dict.fromkeys(kernel.arg_names, "fp64") | {"mask": "*i8", "sums": "*fp64", "elements": "i32"}
    tensors = ("logits", "target", "weights", "positive_weights", "upstream", "losses", "gradient")
    tensors += ("second", "products", "result")
    types |= dict.fromkeys(tensors, f"*{dtype}")
    constants = {"weighted": True, "positive_weighted": True, "masked": True, "focal": True}
    constants |= {"wide": False, "each": False, "width": 512}
    constants |= {} if second else {"derivative": architecture != 80}
    compiled = compile_kernel(kernel, architecture, 4, types, **constants)
    assert not FORBIDDEN.search(compiled.asm["ptx"])
    assert vector_loads(compiled) >= 4
    assert spilled(compiled, tmp_path) == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"input": torch.zeros(2, 3, dtype=torch.float64)},
        {"input": torch.zeros(0, 3), "target": torch.zeros(0, dtype=torch.int64)},
        {"where": torch.ones(2, 3, dtype=torch.bool, device="meta")},
    ],
    ids=["float64 where it is slow", "empty", "a mask on another device"],
)
def test_a_loss_that_no_kernel_takes_is_left_to_the_definition(changed):
    given = {
        "input": torch.zeros(2, 3),
        "target": torch.tensor([0, 1]),
        "weight": None,
        "where": None,
        "dim": 1,
    }
    given |= {"label_smoothing": 0.0, "ignore_index": -100, "focal_gamma": 0.0, "z_loss": 0.0}
    given |= {"reduction": "mean"} | changed
    assert _gpu.by_module("losses", "cross_entropy")(*given.values()) is NotImplemented
    derivative = _gpu.by_module("losses", "cross_entropy_vjp")
    arriving = torch.tensor(1.0, dtype=given["input"].dtype)
    assert derivative(arriving, *given.values()) is NotImplemented
