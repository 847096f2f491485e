"""Kernels in Triton compiled for an architecture without a GPU, and what became of them."""

import re
import subprocess
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

EVEN = ("classes", "elements", "row_stride", "gradient_stride")
FORBIDDEN = re.compile(r"ex2\.approx|div\.(full|approx)|rcp\.approx|sqrt\.approx|\.ftz|\batom\.|\bred\.")


def compile_kernel(kernel, architecture, warps, types, **constants):
    """Compile for rows that lie one after the other, their classes side by side, all borders even.

    ``types`` has those of the arguments that are neither constants nor lengths and strides of dimensions.
    """
    signature, fixed, hints = {}, {}, {}
    for i, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name], fixed[name] = "constexpr", constants[name]
        elif name.startswith("inner_"):
            signature[name], fixed[(i, 0)] = ("constexpr",), 1
        elif name in ("outer", "inner"):
            signature[name] = ("i32",)
        elif name.startswith("outer_"):
            signature[name], hints[(i, 0)] = ("i32",), [["tt.divisibility", 16]]
        else:
            signature[name] = types[name]
            if types[name].startswith("*") or name in (
                "classes",
                "elements",
                "row_stride",
                "gradient_stride",
            ):
                hints[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=fixed, attrs=hints)
    options = {"num_warps": warps, "num_stages": 1, "enable_fp_fusion": False}
    return triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)


def spilled(compiled, folder):
    """Bytes of each thread's registers that went to memory."""
    binary = folder / "kernel.cubin"
    binary.write_bytes(compiled.asm["cubin"])
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    run = subprocess.run([tool, "-res-usage", binary], capture_output=True, text=True, check=True)
    (stack,) = re.findall(r"STACK:(\d+)", run.stdout + run.stderr)
    return int(stack)


def vector_loads(compiled):
    """Count the loads of several numbers."""
    return len(re.findall(r"ld\.global(?:\.L\d::\w+)*\.v\d", compiled.asm["ptx"]))
