"""softmax, log_softmax and logsumexp of tensors on a GPU: the bits of the compiled kernels, in Triton.

Rows of up to some hundred classes are computed one in each thread (`short_rows`), longer ones by a block of
threads. A row of one chunk stays in the registers. A longer one is summed chunk by chunk, and its chunks are
read again where something is written for each class. Where there are too few long rows to fill the device,
their chunks are spread over it (`split_rows`).
"""

import triton
import triton.language as tl

from .arithmetic import LIFT, arguments_as_numbers, exponential, inverse, rounded, unseen
from .cancellation import logsumexp_of
from .chunks import (
    CHUNK,
    READ_ONCE,
    element_there,
    extremes,
    finished_total,
    inside_block,
    inside_tail,
    load_chunk,
    reference,
    state_of,
    total_by_kind,
    total_of,
)
from .long_rows import write_long
from .results import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, logarithm_of, probability, store, write_logarithms
from .row_sums import is_for_all, offset_of, row_numbers, spread, spread_all


@triton.jit
def _write_probabilities(
    target, source, start, length, tiles, values, excesses, tail, tail_terms, row, bad, lane_scale,
    plain: tl.constexpr, kept: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr,
    blocks: tl.constexpr,
):  # fmt: skip
    """Write the probabilities of a chunk that is a whole row; ``kept``: its exponentials are."""
    share, constants = row
    for j in tl.static_range(8):
        if kept:
            value = values[j]
            excess = excesses[j]
        else:
            value, excess = exponential(tiles[j], constants, lane_scale, plain)
        out = probability(value, excess, share, plain)
        store(
            target, source, start + j * 64, inside_block(blocks), element_there(j, length, blocks), out, bad,
            plain, masked, 0.0, in_a_row,
        )  # fmt: skip
    if len(tail) > 0:
        out = probability(tail_terms[0], tail_terms[1], share, plain)
        inside = inside_tail(length)
        store(target, source, start, inside, inside < length, out, bad, plain, masked, 0.0, in_a_row)


@triton.jit
def _write_row(
    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
    plain: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, whole: tl.constexpr,
    rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Sum up rows of one chunk and write their probabilities."""
    total, values, excesses, tail_terms = total_of(
        tiles, tail, length, chunk, lane_scale, True, plain, whole, rows, blocks
    )
    offset, magic, least = chunk[3]
    row = (spread_all(inverse(total, LIFT), rows), (offset, unseen(magic), least))
    _write_probabilities(
        target, source, start, length, tiles, values, excesses, tail, tail_terms, row, spread(bad, rows),
        lane_scale, plain, in_a_row, masked, in_a_row, blocks,
    )  # fmt: skip


@triton.jit(do_not_specialize=["rows", "outer"])
def rows_kernel(
    logits, result, flags, mask, rows, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32, slope: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, unit_temperature: tl.constexpr,
    together: tl.constexpr, blocks: tl.constexpr, in_a_row: tl.constexpr,
    has_tail: tl.constexpr, whole: tl.constexpr, is_long: tl.constexpr, per_segment: tl.constexpr,
    aligned: tl.constexpr,
):  # fmt: skip
    """Compute ``together`` rows of more than some hundred classes; ``blocks`` of a chunk lie side by side."""
    softmax: tl.constexpr = function == SOFTMAX
    repeats: tl.constexpr = softmax and not masked
    first_row = tl.program_id(0).to(tl.int64) * together
    if together == 1:
        row = first_row
        row_there = row < rows
    else:
        row = (first_row + tl.arange(0, together))[:, None, None]
        row_there = row < rows
        row = tl.where(row_there, row, first_row)
    at, mask_at = offset_of(row, outer, outer_in), offset_of(row, outer, outer_mask)
    out_at = offset_of(row, outer, outer_out)
    if together == 1 and aligned > 1:
        at, out_at = at // aligned * aligned, out_at // aligned * aligned  # so that Triton knows
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
    target = (result, out_at, inner_out, row_there)
    scale, lane_scale, slope = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, slope
    )

    if is_long:
        state, wrong = state_of(
            source, classes, scale, lane_scale,
            softmax, masked, in_a_row, has_tail, whole, per_segment, together, blocks,
        )  # fmt: skip
        bad = (wrong > 0) | (tl.abs(state[0]) == float("inf"))
        write_long(
            target, source, classes, state, bad, scale, lane_scale, slope, (0, classes // CHUNK, True),
            function, masked, unit_temperature, in_a_row, has_tail, whole, together, blocks,
        )  # fmt: skip
    else:
        length = classes.to(tl.int32)
        start = first_row * 0
        tiles, tail = load_chunk(
            source, start, length, repeats, masked, in_a_row, has_tail, whole, blocks, READ_ONCE
        )
        top, runner_up, least = extremes(tiles, tail, length, repeats, whole, together, blocks)
        wrong = (top != top).to(tl.int32)
        bad = (wrong > 0) | (tl.abs(top) == float("inf"))
        offset, power, constants, plain = reference(top, runner_up, least, scale, softmax)
        chunk = spread_all((top, runner_up, plain), together) + (spread_all(constants, together),)
        if softmax:
            if masked:
                _write_row(
                    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
                    False, masked, in_a_row, whole, together, blocks,
                )  # fmt: skip
            elif is_for_all(plain == 1, together):
                _write_row(
                    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
                    True, masked, in_a_row, whole, together, blocks,
                )  # fmt: skip
            else:
                _write_row(
                    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
                    False, masked, in_a_row, whole, together, blocks,
                )  # fmt: skip
        else:
            total = total_by_kind(
                tiles, tail, length, chunk, plain, lane_scale, False, not masked, whole, together, blocks
            )
            total, rest = finished_total(
                total, tiles, tail, length, top, runner_up, offset, power, scale, whole, together, blocks
            )
            state = (top.to(tl.float64), least.to(tl.float64), offset, power, total, rest)

    if function == LOGSUMEXP:
        logarithm = logarithm_of(state, bad, unit_temperature)
        here = first_row + row_numbers(together)
        out, cancels = logsumexp_of(logarithm[0], logarithm[1], wrong > 0, bad)
        there = here < rows
        tl.store(flags + tl.where(there, here, 0), cancels, mask=there)
        at = offset_of(tl.where(there, here, 0), outer, outer_out)
        tl.store(result + at, rounded(out, result.dtype.element_ty, False), mask=there)
    elif function == LOG_SOFTMAX and not is_long:
        logarithm = logarithm_of(state, bad, unit_temperature)
        known_row = spread_all(logarithm, together) + (slope,)
        bad_rows = spread(bad, together)
        if is_for_all(logarithm[3] & (bad == 0), together):
            write_logarithms(
                target, source, start, length, tiles, tail, known_row, bad_rows,
                True, masked, in_a_row, together, blocks,
            )  # fmt: skip
        else:
            write_logarithms(
                target, source, start, length, tiles, tail, known_row, bad_rows,
                False, masked, in_a_row, together, blocks,
            )  # fmt: skip
