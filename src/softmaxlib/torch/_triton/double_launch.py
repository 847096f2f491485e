"""Functions in double on tensors: which kernel, how many rows together, and where they lie.

softmax, log_softmax and logsumexp of float64, and the derivatives of softmax and log_softmax of any type.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
import triton
from torch import Tensor

from . import derivatives, double_rows
from .arithmetic import scale_of
from .compiled import run
from .layout import Dimensions, rows_and_classes, rows_of

# kernels are subscripted with the number of programs, which no type says
double_rows_kernel: Any = double_rows.double_rows_kernel
softmax_derivative_kernel: Any = derivatives.softmax_derivative_kernel


def cut(classes: int, inner: Dimensions) -> tuple[int, int, int]:
    """Return how many rows are computed together, how many classes lie side by side, and the warps."""
    in_a_row = all(strides == (1,) for strides in inner.strides[:1])
    width = min(triton.next_power_of_2(classes), 1024 if in_a_row else 16)
    return max(1, 512 // width), width, 8 if width == 1024 else 4


def softmax(function: int, input: Tensor, result: Tensor, dims: Sequence[int], temperature: float,
            where: Tensor | None) -> None:  # fmt: skip
    """Fill ``result``, of the shape of the logits, by the function of this number."""
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    outer, inner = rows_and_classes((input, result, mask), dims)
    rows, classes = rows_of(input, inner)
    together, width, warps = cut(classes, inner)
    slope = 1 / temperature
    rest = float((1 - Fraction(slope) * Fraction(temperature)) / Fraction(temperature))
    run(
        double_rows_kernel, triton.cdiv(rows, together),
        input, result, mask, rows, classes, outer.lengths, *outer.strides, inner.lengths, *inner.strides,
        *scale_of(temperature)[:2], slope, rest, function, where is not None, together, width,
        num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip


def softmax_jvp(probabilities: Tensor, tangent: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the derivative of softmax along a tangent; its transpose is the same."""
    return _derivative(probabilities, tangent, dims, False)


def log_softmax_vjp(log_probabilities: Tensor, gradient: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the derivative by the logits, from that by the logarithms of the probabilities."""
    return _derivative(log_probabilities, gradient, dims, True)


def _derivative(values: Tensor, tangent: Tensor, dims: Sequence[int], of_logarithms: bool) -> Tensor:
    result = torch.empty_like(values)
    if values.numel() == 0:
        return result
    outer, inner = rows_and_classes((values, tangent, result), dims)
    rows, classes = rows_of(values, inner)
    together, width, warps = cut(classes, inner)
    run(
        softmax_derivative_kernel, triton.cdiv(rows, together),
        values, tangent, result, rows, classes, outer.lengths, *outer.strides, inner.lengths, *inner.strides,
        of_logarithms, values.dtype == torch.float64, together, width,
        num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    return result
