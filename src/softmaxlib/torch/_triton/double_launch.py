"""Functions in double on tensors: which kernel, how many rows together, and where they lie.

softmax, log_softmax and logsumexp of float64, and for any type those with a temperature for each row and the
derivatives.
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
from .results import LOG_SOFTMAX, SOFTMAX

# kernels are subscripted with the number of programs, which no type says
double_rows_kernel: Any = double_rows.double_rows_kernel
softmax_derivative_kernel: Any = derivatives.softmax_derivative_kernel
second_derivative_kernel: Any = derivatives.second_derivative_kernel


def cut(classes: int, inner: Dimensions) -> tuple[int, int, int]:
    """Return how many rows are computed together, how many classes lie side by side, and the warps."""
    in_a_row = all(strides == (1,) for strides in inner.strides[:1])
    width = min(triton.next_power_of_2(classes), 1024 if in_a_row else 16)
    return max(1, 512 // width), width, 8 if width == 1024 else 4


def softmax(function: int, input: Tensor, result: Tensor, dims: Sequence[int], temperature: float | Tensor,
            where: Tensor | None) -> None:  # fmt: skip
    """Fill ``result``, of the shape of the logits, by the function of this number.

    A temperature of each row has the dimensions of the logits, and one number for the classes of a row.
    """
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    of_rows = isinstance(temperature, Tensor)
    temperatures = temperature.expand(input.shape) if isinstance(temperature, Tensor) else input
    slope, rest, scale = 1.0, 0.0, scale_of(1.0)
    if not isinstance(temperature, Tensor):
        slope, scale = 1 / temperature, scale_of(temperature)
        rest = float((1 - Fraction(slope) * Fraction(temperature)) / Fraction(temperature))
    outer, inner = rows_and_classes((input, result, mask, temperatures), dims)
    rows, classes = rows_of(input, inner)
    together, width, warps = cut(classes, inner)
    run(
        double_rows_kernel, triton.cdiv(rows, together),
        input, result, mask, temperatures, rows, classes,
        outer.lengths, *outer.strides, inner.lengths, *inner.strides[:3],
        *scale[:2], slope, rest, function, where is not None, of_rows, input.dtype == torch.float64,
        together, width,
        num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip


def softmax_at(input: Tensor, temperature: Tensor, dims: Sequence[int], where: Tensor | None) -> Tensor:
    """Compute probabilities along ``dims``, with a temperature for each row."""
    return _at(SOFTMAX.value, input, temperature, dims, where)


def log_softmax_at(input: Tensor, temperature: Tensor, dims: Sequence[int], where: Tensor | None) -> Tensor:
    """Compute logarithms of the probabilities along ``dims``, with a temperature for each row."""
    return _at(LOG_SOFTMAX.value, input, temperature, dims, where)


def _at(function: int, input: Tensor, temperature: Tensor, dims: Sequence[int],
        where: Tensor | None) -> Tensor:  # fmt: skip
    result = torch.empty_like(input)
    if input.numel():
        softmax(function, input, result, dims, temperature, where)
    return result


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


def softmax_jvp_by_probabilities(
    probabilities: Tensor, tangent: Tensor, gradient: Tensor, dims: Sequence[int]
) -> Tensor:
    """Return the derivative of `softmax_jvp` by the probabilities, times what arrives."""
    return _second_derivative(0, probabilities, tangent, gradient, dims)


def log_softmax_vjp_by_logarithms(
    log_probabilities: Tensor, gradient: Tensor, second: Tensor, dims: Sequence[int]
) -> Tensor:
    """Return the derivative of `log_softmax_vjp` by the logarithms, times what arrives."""
    return _second_derivative(1, log_probabilities, gradient, second, dims)


def log_softmax_jvp(log_probabilities: Tensor, tangent: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the derivative of the logarithms of the probabilities along a tangent."""
    return _second_derivative(2, log_probabilities, tangent, tangent, dims)


def _second_derivative(
    function: int, values: Tensor, tangent: Tensor, arriving: Tensor, dims: Sequence[int]
) -> Tensor:
    result = torch.empty_like(values)
    if values.numel() == 0:
        return result
    outer, inner = rows_and_classes((values, tangent, arriving, result), dims)
    rows, classes = rows_of(values, inner)
    together, width, warps = cut(classes, inner)
    run(
        second_derivative_kernel, triton.cdiv(rows, together),
        values, tangent, arriving, result, rows, classes,
        outer.lengths, *outer.strides, inner.lengths, *inner.strides,
        function, values.dtype == torch.float64, together, width,
        num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    return result
