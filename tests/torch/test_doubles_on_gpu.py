"""The kernels in double without a GPU: losses with options, derivatives, and float64."""

import pytest

pytest.importorskip("triton")

from gpu_programs import WAYS, outcome_of
from triton_compiler import FORBIDDEN, compile_kernel, spilled, vector_loads

TYPES = {
    **{"target": "*i64", "mask": "*i8", "ignored": "i64"},
    **dict.fromkeys(("upstream", "losses", "counts", "products"), "*fp64"),
    **dict.fromkeys(("rows", "classes", "upstream_stride"), "i32"),
}


@pytest.mark.parametrize("way", WAYS)
def test_results_keep_their_bounds(way, tmp_path):
    worst = {what: error for what, (error, _) in outcome_of("doubles", tmp_path, way).items()}
    assert len(worst) == 41
    for what in ("loss", "gradient", "softmax_jvp", "log_softmax_vjp", "second", "binary gradient"):
        for dtype, bound in (("float32", 0.51), ("bfloat16", 0.51), ("float64", 2)):
            assert worst[f"{what} torch.{dtype}"] <= bound, what
    assert max(worst["loss torch.float16"], worst["gradient torch.float16"]) <= 0.51
    for function in ("softmax", "log_softmax", "logsumexp"):
        assert worst[function] <= 2
        assert worst[f"{function} beside the CPU"] <= 4
    for what in ("second of loss", "second of binary loss"):
        for dtype, bound in (("float32", 0.51), ("bfloat16", 0.51), ("float64", 4)):
            assert worst[f"{what} torch.{dtype}"] <= bound, what
    assert worst["binary loss torch.float64"] <= 4
    assert max(worst["binary loss torch.float32"], worst["binary loss torch.bfloat16"]) <= 0.51
    for function in ("softmax", "log_softmax"):
        for dtype, bound in (("float32", 0.51), ("bfloat16", 0.51), ("float64", 1)):
            assert worst[f"{function} at temperatures torch.{dtype}"] <= bound


LOSS = {"by_label": False, "weighted": True, "masked": False, "smooth": True, "focal": True, "loss": False}
SECOND = {"by_label": True, "weighted": False, "masked": False, "smooth": False, "wide": False}
ROWS = {"function": 0, "masked": False}


@pytest.mark.parametrize(
    ("module", "name", "architecture", "dtype", "constants"),
    [
        ("option_losses", "option_losses_kernel", 90, "fp32", LOSS | {"derivative": True, "wide": False}),
        ("second_losses", "second_losses_kernel", 80, "bf16", SECOND | {"focal": False}),
        ("double_rows", "double_rows_kernel", 80, "fp64", ROWS | {"of_rows": False, "wide": True}),
        ("double_rows", "double_rows_kernel", 100, "bf16", ROWS | {"of_rows": True, "wide": False}),
        ("derivatives", "second_derivative_kernel", 90, "fp32", {"function": 0, "wide": False}),
        ("derivatives", "softmax_derivative_kernel", 100, "bf16", {"of_logarithms": True, "wide": False}),
    ],
)
def test_what_a_kernel_is_compiled_to(module, name, architecture, dtype, constants, tmp_path, monkeypatch):
    kernel = getattr(__import__(f"softmaxlib.torch._triton.{module}", fromlist=[name]), name)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = dict.fromkeys(kernel.arg_names, "fp64") | TYPES
    types |= {"temperatures": "*fp32"} | ({} if constants.get("by_label", True) else {"target": "*fp32"})
    pointers = ("logits", "result", "values", "tangent", "arriving", "second", "gradient", "weights")
    types |= dict.fromkeys(pointers, f"*{dtype}")
    compiled = compile_kernel(kernel, architecture, 8, types, **constants, together=1, width=1024)
    assert not FORBIDDEN.search(compiled.asm["ptx"])
    assert vector_loads(compiled) >= 3
    assert spilled(compiled, tmp_path) == 0
