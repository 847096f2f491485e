"""How the GPU kernels run on CPU tensors: a program's first argument says.

``interpreted``: by Triton's interpreter. ``compiled``: as the PTX that Triton makes for an architecture, the
second argument (90). Further arguments are the program's.
"""

import sys

import torch

WAY, *REST = sys.argv[1:] or ["interpreted"]
if WAY == "interpreted":
    from kernel_interpreter import jit, tl
elif WAY == "compiled":
    import ptx_kernels
    from ptx_kernels import jit, tl

    from softmaxlib.torch._triton import (
        double_launch,
        draw_launch,
        launch,
        losses,
        option_losses_launch,
        sigmoid_losses_launch,
        simplex_launch,
    )

    ptx_kernels.ARCHITECTURE = int(REST.pop(0)) if REST else 90
    ptx_kernels.stand_in((double_launch, draw_launch, launch, losses))
    ptx_kernels.stand_in((option_losses_launch, sigmoid_losses_launch, simplex_launch))

__all__ = ["REST", "bits", "jit", "special_rows", "tl"]


def bits(tensor):
    """The bits, one form for all NaN."""
    one_nan = torch.where(tensor != tensor, torch.nan, tensor).contiguous()
    return one_nan.view(torch.int32 if tensor.dtype == torch.float32 else torch.int16)


def special_rows(n, generator):
    """Rows with NaN, infinities, ties, the largest numbers, exact powers, and confident ones."""
    x = torch.randn(8, n, generator=generator)
    x[0, 0], x[1, -1], x[2], x[3, : n // 2] = torch.nan, torch.inf, -torch.inf, -torch.inf
    x[4] *= 1e38
    x[5] = x[5].round()
    x[6], x[6, n // 3] = 0.0, 20.0
    x[7] = torch.linspace(-150, 0, n)
    return x
