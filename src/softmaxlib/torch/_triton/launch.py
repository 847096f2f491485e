"""Launchers of softmax, log_softmax and logsumexp: choice of kernel, rows per program, and layout."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import cancellation, double_launch, short_rows
from . import softmax as longer_rows
from .arithmetic import scale_of
from .compiled import run
from .layout import rows_and_classes, rows_of
from .softmax import CHUNK, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

# the types don't know that kernels are subscripted with the number of programs
short_rows_kernel: Any = short_rows.short_rows_kernel
rows_kernel: Any = longer_rows.rows_kernel
cancelling_rows_kernel: Any = cancellation.cancelling_rows_kernel

SEGMENTS = 64  # most segments of a row of many chunks
_SHORT = {
    SOFTMAX.value: 448,
    LOG_SOFTMAX.value: 384,
    LOGSUMEXP.value: 448,
}  # classes summed one after the other


def softmax(input: Tensor, dims: Sequence[int], temperature: float, where: Tensor | None) -> Tensor:
    """Compute probabilities along ``dims``."""
    return _elementwise(SOFTMAX.value, input, dims, temperature, where)


def log_softmax(input: Tensor, dims: Sequence[int], temperature: float, where: Tensor | None) -> Tensor:
    """Compute logarithms of the probabilities along ``dims``."""
    return _elementwise(LOG_SOFTMAX.value, input, dims, temperature, where)


def logsumexp(input: Tensor, dims: Sequence[int], keepdim: bool, where: Tensor | None) -> Tensor:
    """Compute the logarithm of the sum of exponentials along ``dims``."""
    dims = [d % input.dim() for d in dims]
    shape = [1 if d in dims else n for d, n in enumerate(input.shape)]
    result = torch.empty(shape, dtype=input.dtype, device=input.device)
    if any(input.shape[d] == 0 for d in dims):
        result.fill_(-torch.inf)
    elif result.numel():
        _launch(LOGSUMEXP.value, input, result.expand(input.shape), dims, 1.0, where)
    return result if keepdim else result.reshape([n for d, n in enumerate(input.shape) if d not in dims])


def _elementwise(
    function: int, input: Tensor, dims: Sequence[int], temperature: float, where: Tensor | None
) -> Tensor:
    result = torch.empty_like(input)
    if input.numel():
        _launch(function, input, result, dims, temperature, where)
    return result


def _launch(
    function: int,
    input: Tensor,
    result: Tensor,
    dims: Sequence[int],
    temperature: float,
    where: Tensor | None,
) -> None:
    if input.dtype == torch.float64:
        double_launch.softmax(function, input, result, dims, temperature, where)
        return
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    outer, inner = rows_and_classes((input, result, mask), dims)
    rows, classes = rows_of(input, inner)
    flags = torch.empty(rows, dtype=torch.int8, device=input.device) if function == LOGSUMEXP.value else input
    arguments = (
        *(input, result, flags, mask, rows, classes),
        *(outer.lengths, *outer.strides, inner.lengths, *inner.strides),
        *(*scale_of(temperature), 1 / temperature),
        *(function, where is not None),
    )
    if classes <= _SHORT[function]:
        together = 128 if rows >= 128 else max(16, triton.next_power_of_2(rows))
        run(
            short_rows_kernel, triton.cdiv(rows, together), *arguments, together,
            num_warps=max(1, together // 32), enable_fp_fusion=False,
        )  # fmt: skip
    else:
        read = (inner.strides[0], inner.strides[2]) if function == LOGSUMEXP.value else inner.strides
        in_a_row = all(strides == (1,) for strides in read)
        _launch_long(arguments, rows, classes, temperature == 1, in_a_row)
    if function == LOGSUMEXP.value:
        run(
            cancelling_rows_kernel, rows,
            input, result, flags, mask, classes, outer.lengths, *outer.strides,
            inner.lengths, inner.strides[0], inner.strides[2], where is not None, 128,
            num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


class Plan(NamedTuple):
    """The division of rows of more than some hundred classes."""

    together: int  # rows in one program
    blocks: int  # of 512 classes side by side
    warps: int
    registers: int | None = None  # of a thread, at most


def plan(classes: int, in_a_row: bool) -> Plan:
    """Return the division of rows; ``in_a_row``: their classes are contiguous."""
    blocks = min(8, triton.next_power_of_2(triton.cdiv(classes, 512)))
    if not in_a_row:
        return Plan(64 // blocks, blocks, 16)
    return Plan(1, blocks, max(1, blocks // 2), None if 2048 < classes <= CHUNK.value else 96)


def _launch_long(arguments: tuple, rows: int, classes: int, unit_temperature: bool, in_a_row: bool) -> None:
    """Launch the kernel for rows of more than some hundred classes."""
    together, blocks, warps, registers = plan(classes, in_a_row)
    is_long = classes > CHUNK.value
    run(
        rows_kernel, triton.cdiv(rows, together), *arguments, unit_temperature,
        together, blocks, in_a_row, classes % 64 != 0, classes % (512 * blocks) == 0, is_long,
        triton.cdiv(triton.cdiv(classes, CHUNK.value), SEGMENTS),
        num_warps=warps, maxnreg=registers, enable_fp_fusion=False,
    )  # fmt: skip
