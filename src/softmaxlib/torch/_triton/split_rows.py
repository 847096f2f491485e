"""A few long rows: their chunks are spread over the device, in Triton.

One kernel sums up the chunks. Each program of another one joins what is known of its row, in order, and
writes the results of one chunk: the bits are those of a program that does it all.
"""

import triton
import triton.language as tl

from .arithmetic import arguments_as_numbers
from .chunks import CHUNK, part_of
from .long_rows import write_long
from .parts import PART, joined_parts, store_part
from .results import SOFTMAX
from .row_sums import offset_of


@triton.jit
def _place(rows_and_chunks, classes):
    """Return the row and the chunk of a program, and the number of chunks of a row."""
    number = tl.cdiv(classes, CHUNK)
    return (rows_and_chunks // number).to(tl.int64), rows_and_chunks % number, number


@triton.jit(do_not_specialize=["outer"])
def parts_kernel(
    logits, parts, mask, classes, outer, outer_in, outer_mask, inner, inner_in, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32,
    softmax: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, aligned: tl.constexpr,
):  # fmt: skip
    """Store what is known of a chunk, and whether it holds NaN."""
    row, s, number = _place(tl.program_id(0), classes)
    at = offset_of(row, outer, outer_in) // aligned * aligned
    source = (logits, at, inner, inner_in, mask, offset_of(row, outer, outer_mask), inner_mask)
    scale, lane_scale, _ = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, scale_high
    )
    start = tl.zeros((), tl.int64) + s * CHUNK
    here = row * number + s
    if s < classes // CHUNK:
        part, wrong = part_of(
            source, start, s * 0 + CHUNK, scale, lane_scale, softmax, masked, in_a_row, False, 8, 1, 8
        )
        store_part(parts, here, part, wrong)
    elif whole < 8:
        part, wrong = part_of(
            source, start, (classes - start).to(tl.int32), scale, lane_scale,
            softmax, masked, in_a_row, has_tail, whole, 1, 8,
        )  # fmt: skip
        store_part(parts, here, part, wrong)


@triton.jit
def _are_wrong(parts, number):
    """Return whether a row holds NaN, from its parts."""
    place = tl.arange(0, 64)
    wrong = tl.zeros((64,), tl.float64)
    for start in range(0, number, 64):
        here = parts + ((start + place) * PART + 6)
        wrong = tl.maximum(wrong, tl.load(here, mask=start + place < number, other=0.0))
    return tl.max(wrong, axis=0) > 0.0


@triton.jit(do_not_specialize=["outer"])
def chunks_kernel(
    logits, result, parts, mask, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32, slope: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, unit_temperature: tl.constexpr, in_a_row: tl.constexpr,
    has_tail: tl.constexpr, whole: tl.constexpr, per_segment: tl.constexpr, aligned: tl.constexpr,
):  # fmt: skip
    """Write the results of a chunk, from the parts of its row."""
    softmax: tl.constexpr = function == SOFTMAX
    row, s, number = _place(tl.program_id(0), classes)
    at = offset_of(row, outer, outer_in) // aligned * aligned
    out_at = offset_of(row, outer, outer_out) // aligned * aligned
    source = (logits, at, inner, inner_in, mask, offset_of(row, outer, outer_mask), inner_mask)
    target = (result, out_at, inner_out, row >= 0)
    scale, lane_scale, slope = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, slope
    )
    of_row = parts + row * number * PART
    wrong = _are_wrong(of_row, number)
    state = joined_parts(of_row, number, scale, per_segment, softmax, per_segment > 1)
    bad = wrong | (tl.abs(state[0]) == float("inf"))
    full = classes // CHUNK
    write_long(
        target, source, classes, state, bad, scale, lane_scale, slope,
        (s, tl.minimum(s + 1, full), s == full),
        function, masked, unit_temperature, in_a_row, has_tail, whole, 1, 8,
    )  # fmt: skip
