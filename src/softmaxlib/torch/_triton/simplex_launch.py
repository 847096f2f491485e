"""Launchers of sparsemax, entmax of order 1.5 and their derivative: choice of kernel, division of rows."""

from collections.abc import Sequence
from typing import Any

import torch
import triton
from torch import Tensor

from . import simplex
from .compiled import run
from .layout import rows_and_classes, rows_of

FUNCTIONS = {2.0: simplex.SPARSEMAX.value, 1.5: simplex.ENTMAX15.value}  # by order

# the types don't know that kernels are subscripted with the number of programs
kept_rows_kernel: Any = simplex.kept_rows_kernel
long_rows_kernel: Any = simplex.long_rows_kernel
derivative_kernel: Any = simplex.derivative_kernel

_KEPT = 8192  # rows of up to this many classes stay in registers
_TILE = 4096
_ROOM = 4096  # for what may be in the support of a longer row


def entmax(input: Tensor, alpha: float, dims: Sequence[int], where: Tensor | None) -> Tensor:
    """Compute probabilities along ``dims``."""
    result = torch.empty_like(input)
    if input.numel() == 0:
        return result
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    outer, inner = rows_and_classes((input, result, mask), dims)
    rows, classes = rows_of(input, inner)
    lain = (outer.lengths, *outer.strides, inner.lengths, *inner.strides)
    function, masked = FUNCTIONS[alpha], where is not None
    if classes <= _KEPT:
        together, width, warps = _cut(classes)
        run(
            kept_rows_kernel, triton.cdiv(rows, together),
            input, result, mask, rows, classes, *lain, function, masked, together, width,
            num_warps=warps, enable_fp_fusion=False,
        )  # fmt: skip
    else:
        wide = torch.float64 if input.dtype == torch.float64 else torch.float32
        candidates = torch.empty((rows, _ROOM), dtype=wide, device=input.device)
        run(
            long_rows_kernel, rows,
            input, result, mask, candidates, classes, *lain, function, masked, _TILE, _ROOM,
            num_warps=8, num_stages=1, enable_fp_fusion=False,
        )  # fmt: skip
    return result


def entmax_vjp(
    probabilities: Tensor, gradient: Tensor, alpha: float, dims: Sequence[int], where: Tensor | None
) -> Tensor:
    """Compute the derivative by the logits from that by the probabilities."""
    result = torch.empty_like(probabilities)
    if probabilities.numel() == 0:
        return result
    mask = probabilities if where is None else where.expand(probabilities.shape).view(torch.uint8)
    outer, inner = rows_and_classes((probabilities, gradient, result, mask), dims)
    rows, classes = rows_of(probabilities, inner)
    together, width, warps = _cut(min(classes, _TILE))
    run(
        derivative_kernel, triton.cdiv(rows, together),
        probabilities, gradient, result, mask, rows, classes,
        outer.lengths, *outer.strides, inner.lengths, *inner.strides,
        FUNCTIONS[alpha], where is not None, together, width, num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    return result


def _cut(classes: int) -> tuple[int, int, int]:
    """Return the number of rows computed together, their width, and the number of warps."""
    width = triton.next_power_of_2(classes)
    together = max(1, 1024 // width)
    return together, width, min(16, max(4, together * width // 256))
