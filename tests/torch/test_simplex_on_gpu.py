"""sparsemax and entmax by the kernels in Triton, without a GPU."""

import pytest

pytest.importorskip("triton")

from gpu_programs import WAYS, outcome_of
from triton_compiler import FORBIDDEN, compile_kernel, spilled, vector_loads

TYPES = {
    **dict.fromkeys(("logits", "result", "mask", "candidates", "probabilities", "gradient"), "*fp32"),
    **{"rows": "i32", "classes": "i32"},
}


@pytest.mark.parametrize("way", WAYS)
def test_results_have_the_bits_of_the_cpu_kernels(way, tmp_path):
    outcome = outcome_of("simplex", tmp_path, way)
    assert outcome["seen"] == 20
    assert outcome["differing"] == []
    assert outcome["worst derivative"] < 0.51
    assert outcome["double"] <= 8  # of a threshold that is added to numbers up to 1, and of plain sums


@pytest.mark.parametrize(
    ("kernel", "dtype", "warps", "constants"),
    [
        ("kept_rows_kernel", "fp32", 16, {"function": 1, "together": 1, "width": 8192}),
        ("kept_rows_kernel", "fp64", 16, {"function": 1, "together": 1, "width": 8192}),
        ("long_rows_kernel", "fp32", 8, {"function": 0, "tile": 4096, "room": 4096}),
        ("derivative_kernel", "fp32", 16, {"function": 1, "together": 1, "width": 4096}),
    ],
)
def test_what_a_kernel_is_compiled_to(kernel, dtype, warps, constants, tmp_path, monkeypatch):
    from softmaxlib.torch._triton import simplex

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = {name: f"*{dtype}" if kind == "*fp32" else kind for name, kind in TYPES.items()}
    compiled = compile_kernel(getattr(simplex, kernel), 90, warps, types, masked=False, **constants)
    assert vector_loads(compiled) >= 4
    assert not FORBIDDEN.search(compiled.asm["ptx"])
    assert spilled(compiled, tmp_path) <= 8  # two registers, once in a row
