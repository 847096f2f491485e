"""Launchers of softmax, log_softmax and logsumexp: choice of kernel, rows per program, and layout."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import cancellation, double_launch, short_rows, split_rows
from . import softmax as longer_rows
from .arithmetic import scale_of
from .chunks import CHUNK
from .compiled import Calls, Launch, Repetition, run
from .layout import Dimensions, rows_and_classes, rows_of
from .parts import PART
from .results import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX

DTYPES = (torch.float32, torch.float16, torch.bfloat16)

# the types don't know that kernels are subscripted with the number of programs
short_rows_kernel: Any = short_rows.short_rows_kernel
rows_kernel: Any = longer_rows.rows_kernel
cancelling_rows_kernel: Any = cancellation.cancelling_rows_kernel
parts_kernel: Any = split_rows.parts_kernel
chunks_kernel: Any = split_rows.chunks_kernel

SEGMENTS = 64  # most segments of a row of many chunks
FEW = 256  # rows: more of them fill a device, one in each program
_calls = Calls()
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
    kind = None
    if where is None:
        kind = _kind(function, input, dims, temperature)
        known = _calls.get(kind)
        if known is not None:
            return known(input)
    result = torch.empty_like(input)
    if not input.numel():
        return result
    launches = _launch(function, input, result, dims, temperature, where)
    if kind is not None and launches and launches[0].compiled is not None:
        _calls.keep(kind, launches, input.get_device())
    return result


def _kind(function: int, input: Tensor, dims: Sequence[int], temperature: float) -> tuple[Any, ...]:
    """Return all on which the launches of a call depend, but for its memory."""
    place = input.get_device(), input.data_ptr() & 15
    return function, input.dtype, input.shape, input.stride(), tuple(dims), temperature, place


def repetition(name: str, input: Tensor, dims: Sequence[int], temperature: float) -> Repetition | None:
    """Return what does the same as this function did last for other logits of the same kind, or None."""
    function = {"softmax": SOFTMAX.value, "log_softmax": LOG_SOFTMAX.value}[name]
    return _calls.get(_kind(function, input, dims, temperature))


def _launch(
    function: int,
    input: Tensor,
    result: Tensor,
    dims: Sequence[int],
    temperature: float,
    where: Tensor | None,
) -> tuple[Launch, ...]:
    """Fill the result, and return what was launched."""
    if input.dtype == torch.float64:
        double_launch.softmax(function, input, result, dims, temperature, where)
        return ()
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    outer, inner = rows_and_classes((input, result, mask), dims)
    rows, classes = rows_of(input, inner)
    flags = torch.empty(rows, dtype=torch.int8, device=input.device) if function == LOGSUMEXP.value else input
    arguments = (
        *(input, result, flags, mask, rows, classes),
        *(_lengths(outer), *outer.strides, _lengths(inner), *inner.strides),
        *(*scale_of(temperature), 1 / temperature),
        *(function, where is not None),
    )
    read = (inner.strides[0], inner.strides[2]) if function == LOGSUMEXP.value else inner.strides
    in_a_row = all(strides == (1,) for strides in read)
    if classes <= _SHORT[function]:
        together = 128 if rows >= 128 else max(16, triton.next_power_of_2(rows))
        launch = run(
            short_rows_kernel, triton.cdiv(rows, together), *arguments, together,
            num_warps=max(1, together // 32), enable_fp_fusion=False,
        )  # fmt: skip
    elif function != LOGSUMEXP.value and in_a_row and CHUNK.value < classes and rows < FEW:
        return _launch_split(arguments, temperature == 1)
    else:
        launch = _launch_long(arguments, rows, classes, temperature == 1, in_a_row)
    if function == LOGSUMEXP.value:
        run(
            cancelling_rows_kernel, rows,
            input, result, flags, mask, classes, _lengths(outer), *outer.strides,
            _lengths(inner), inner.strides[0], inner.strides[2], where is not None, 128,
            num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return (launch,)


def _lengths(dimensions: Dimensions) -> tuple[int, ...]:
    """Return the lengths of dimensions, but for the first one: it is not used, and not compiled for."""
    return (0, *dimensions.lengths[1:])


class Plan(NamedTuple):
    """The division of rows of more than some hundred classes."""

    together: int  # rows in one program
    blocks: int  # of 512 classes side by side
    warps: int
    registers: int | None = None  # of a thread, at most


def plan(function: int, classes: int, in_a_row: bool) -> Plan:
    """Return the division of rows; ``in_a_row``: their classes are contiguous."""
    blocks = min(8, triton.next_power_of_2(triton.cdiv(classes, 512)))
    if not in_a_row:
        return Plan(32 // blocks, blocks, 16)  # 32 logits in each thread: with 64, registers go to memory
    # as few registers as leave next to nothing in memory: more programs fit on the device
    registers = 80 if classes > CHUNK.value and function == SOFTMAX.value else 128 if blocks == 4 else 96
    return Plan(1, blocks, max(1, blocks // 2), registers)


def whole_tiles(classes: int, blocks: int) -> int:
    """Return how many of the eight tiles of the last chunk are known to the kernel to be there in full.

    A kernel is compiled for each number, so there are four of them.
    """
    inside = classes % CHUNK.value or CHUNK.value
    tiles = (inside - 512 * (blocks - 1)) // 64
    return max(n for n in (0, 4, 7, 8) if n <= max(tiles, 0))


def _aligned(function: int, read: Sequence[int], written: Sequence[int]) -> int:
    """Return the largest power of two, up to 16, that divides the distances between rows of classes."""
    return math.gcd(16, *read, *(() if function == LOGSUMEXP.value else written))


def _launch_long(
    arguments: tuple[Any, ...], rows: int, classes: int, unit_temperature: bool, in_a_row: bool
) -> Launch:
    """Launch the kernel for rows of more than some hundred classes."""
    together, blocks, warps, registers = plan(arguments[-2], classes, in_a_row)
    is_long = classes > CHUNK.value
    return run(
        rows_kernel, triton.cdiv(rows, together), *arguments, unit_temperature,
        together, blocks, in_a_row, classes % 64 != 0, whole_tiles(classes, blocks), is_long,
        _per_segment(classes), _aligned(arguments[-2], *arguments[7:9]),
        num_warps=warps, maxnreg=registers, enable_fp_fusion=False,
    )  # fmt: skip


def _per_segment(classes: int) -> int:
    return triton.cdiv(triton.cdiv(classes, CHUNK.value), SEGMENTS)


def _launch_split(arguments: tuple[Any, ...], unit_temperature: bool) -> tuple[Launch, Launch]:
    """Launch the kernels for a few long rows, whose chunks are spread over the device."""
    input, result, _, mask, rows, classes, outer, outer_in, outer_out, outer_mask = arguments[:10]
    inner, inner_in, _, inner_mask, *scales, slope, function, masked = arguments[10:]
    programs = rows * triton.cdiv(classes, CHUNK.value)
    parts = torch.empty(programs * PART.value, dtype=torch.float64, device=input.device)
    options: dict[str, Any] = {"num_warps": 4, "maxnreg": 96, "enable_fp_fusion": False}
    layout = (True, classes % 64 != 0, whole_tiles(classes, 8))
    aligned = _aligned(function, outer_in, outer_out)
    of_parts = run(
        parts_kernel, programs,
        input, parts, mask, classes, outer, outer_in, outer_mask, inner, inner_in, inner_mask, *scales,
        function == SOFTMAX.value, masked, *layout, aligned, **options,
    )  # fmt: skip
    of_chunks = run(
        chunks_kernel, programs,
        input, result, parts, mask, classes, *arguments[6:14], *scales, slope,
        function, masked, unit_temperature, *layout, _per_segment(classes), aligned, **options,
    )  # fmt: skip
    return of_parts, of_chunks
