"""softmax, log_softmax and logsumexp of tensors on a GPU: the bits of the compiled kernels, in Triton.

Rows of up to some hundred classes are computed one in each thread (`short_rows`), longer ones by a block of
threads. A row of one chunk stays in the registers. A longer one is summed chunk by chunk, and its chunks are
read again where something is written for each class.
"""

import triton
import triton.language as tl

from .arithmetic import (
    BIAS,
    LIFT,
    PLAIN_RANGE,
    VANISHING,
    arguments_as_numbers,
    constants_of,
    double,
    exponential,
    inverse,
    multiplied_exponential,
    multiplier,
    rounded,
)
from .cancellation import logsumexp_of
from .chunks import (
    CHUNK,
    element_there,
    extremes,
    finished_total,
    inside_block,
    inside_tail,
    load_chunk,
    part_of,
    reference,
    total_by_kind,
    total_of,
)
from .doubles import log1p, two_sum
from .row_sums import is_for_all, joined, nothing_known, offset_of, places, row_numbers, spread, spread_all

SOFTMAX = tl.constexpr(0)
LOG_SOFTMAX = tl.constexpr(1)
LOGSUMEXP = tl.constexpr(2)


@triton.jit
def _probability(value, excess, share, plain: tl.constexpr):
    """Return value * (1 + excess) over the total, rounded once, where the result is subnormal too."""
    lifted = tl.fma(value, share[0], value * tl.fma(excess, share[0], share[1]))
    out = lifted * (1 / LIFT)
    if not plain:
        out = tl.where(lifted > VANISHING, out, 0.0)
    return out


@triton.jit
def _log_probability(x, row, near: tl.constexpr, rows: tl.constexpr):
    """Return a logarithm from a logit; ``near``: in all rows two float32 hold what is subtracted."""
    most, log_high, _, is_near, shift_high, shift_low, slope = row
    if near or rows > 1:
        difference = x - shift_high
        part = difference - x
        rest = ((x - (difference - part)) - (part + shift_high)) - shift_low
        out = difference + tl.where(rest < 2.0**100, rest, 2.0**100)
    if not near:
        exact = tl.fma(x.to(tl.float64) - most, slope, -log_high).to(tl.float32)
        if rows > 1:
            out = tl.where(is_near, out, exact)
        else:
            out = exact
    return out


@triton.jit
def _store(
    target, source, start, inside, there, out, bad,
    finite: tl.constexpr, masked: tl.constexpr, hidden: tl.constexpr, in_a_row: tl.constexpr,
):  # fmt: skip
    """Write results: NaN in bad rows, and ``hidden`` where the mask is False."""
    result, at, strides, row_there = target
    _, _, lengths, _, mask, mask_at, mask_strides = source
    if not finite:
        out = tl.where(bad, float("nan"), out)
    if masked:
        kept = tl.load(
            places(mask, mask_at, start, inside, lengths, mask_strides, in_a_row), mask=there, other=0
        )
        out = tl.where(kept != 0, out, hidden)
    here = places(result, at, start, inside, lengths, strides, in_a_row)
    tl.store(here, rounded(out, result.dtype.element_ty, finite), mask=there & row_there)


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
        out = _probability(value, excess, share, plain)
        _store(
            target, source, start, inside_block(j, blocks), element_there(j, length, blocks), out, bad,
            plain, masked, 0.0, in_a_row,
        )  # fmt: skip
    if len(tail) > 0:
        out = _probability(tail_terms[0], tail_terms[1], share, plain)
        inside = inside_tail(length)
        _store(target, source, start, inside, inside < length, out, bad, plain, masked, 0.0, in_a_row)


@triton.jit
def _write_row(
    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
    plain: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, full: tl.constexpr,
    rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Sum up rows of one chunk and write their probabilities."""
    total, values, excesses, tail_terms = total_of(
        tiles, tail, length, chunk, lane_scale, True, plain, full, rows, blocks
    )
    row = (spread_all(inverse(total, LIFT), rows), chunk[3])
    _write_probabilities(
        target, source, start, length, tiles, values, excesses, tail, tail_terms, row, spread(bad, rows),
        lane_scale, plain, in_a_row, masked, in_a_row, blocks,
    )  # fmt: skip


@triton.jit
def _long_probability(x, row, lane_scale, factor, plain: tl.constexpr):
    """Return a probability in a row of several chunks, from its logit."""
    share, constants, is_plain = row
    v, q = multiplied_exponential(x, constants, lane_scale, factor, plain)
    out = tl.fma(v, q, v)
    if not plain:
        value, excess = exponential(x, constants, lane_scale, False)
        out = tl.where(is_plain, out, _probability(value, excess, share, False))
    return out


@triton.jit
def _write_long_probabilities(
    target, source, classes, row, bad, lane_scale, factor,
    plain: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    full: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Read rows again, chunk by chunk, and write their probabilities."""
    for s in range(0, tl.cdiv(classes, CHUNK)):
        start = tl.zeros((), tl.int64) + s * CHUNK
        length = tl.minimum(classes - start, CHUNK).to(tl.int32)
        tiles, tail = load_chunk(source, start, length, False, masked, in_a_row, has_tail, full, blocks)
        for j in tl.static_range(8):
            out = _long_probability(tiles[j], row, lane_scale, factor, plain)
            _store(
                target, source, start, inside_block(j, blocks), element_there(j, length, blocks), out, bad,
                plain, masked, 0.0, in_a_row,
            )  # fmt: skip
        if has_tail:
            out = _long_probability(tail[0], row, lane_scale, factor, plain)
            inside = inside_tail(length)
            _store(target, source, start, inside, inside < length, out, bad, plain, masked, 0.0, in_a_row)


@triton.jit
def _write_logarithms(
    target, source, start, length, tiles, tail, row, bad,
    near: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, rows: tl.constexpr,
    blocks: tl.constexpr,
):  # fmt: skip
    """Write the logarithms of the probabilities of a chunk."""
    for j in tl.static_range(8):
        out = _log_probability(tiles[j], row, near, rows)
        _store(
            target, source, start, inside_block(j, blocks), element_there(j, length, blocks), out, bad,
            False, masked, float("-inf"), in_a_row,
        )  # fmt: skip
    if len(tail) > 0:
        inside = inside_tail(length)
        out = _log_probability(tail[0], row, near, rows)
        _store(
            target, source, start, inside, inside < length, out, bad, False, masked, float("-inf"), in_a_row
        )


@triton.jit
def _write_long_logarithms(
    target, source, classes, row, bad,
    near: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    full: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Read rows again, chunk by chunk, and write the logarithms of their probabilities."""
    for s in range(0, tl.cdiv(classes, CHUNK)):
        start = tl.zeros((), tl.int64) + s * CHUNK
        length = tl.minimum(classes - start, CHUNK).to(tl.int32)
        tiles, tail = load_chunk(source, start, length, False, masked, in_a_row, has_tail, full, blocks)
        _write_logarithms(
            target, source, start, length, tiles, tail, row, bad, near, masked, in_a_row, rows, blocks
        )


@triton.jit
def logarithm_of(state, bad, unit_temperature: tl.constexpr):
    """Return the logarithm of a row's total beside its largest logit, and what `_log_probability` needs."""
    most, least, offset, power, total, rest = state
    others = tl.where(bad, 0.0, total)
    log_high, log_low = log1p(others)
    log_high, log_low = two_sum(log_high, log_low + rest / (others + 1.0))
    log_high = tl.where(others > 0.0, log_high, 0.0)
    log_low = tl.where(others > 0.0, log_low, 0.0)
    shift = most + log_high
    shift_high = shift.to(tl.float32)
    shift_low = (shift - shift_high.to(tl.float64)).to(tl.float32)
    near = log_high * double(2.0**22) > tl.abs(shift)
    if not unit_temperature:
        near = near & (most != most)
    return most, log_high, log_low, near, shift_high, shift_low


@triton.jit(do_not_specialize=["rows", "outer"])
def rows_kernel(
    logits, result, flags, mask, rows, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32, slope: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, unit_temperature: tl.constexpr,
    together: tl.constexpr, blocks: tl.constexpr, in_a_row: tl.constexpr,
    has_tail: tl.constexpr, full: tl.constexpr, is_long: tl.constexpr, per_segment: tl.constexpr,
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
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
    target = (result, offset_of(row, outer, outer_out), inner_out, row_there)
    scale, lane_scale, slope = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, slope
    )

    if is_long:
        number = tl.cdiv(classes, CHUNK)
        state = nothing_known(together)
        segment = nothing_known(together)
        wrong = (state[2] != 0.0).to(tl.int32)
        for s in range(0, number):
            start = tl.zeros((), tl.int64) + s * CHUNK
            length = tl.minimum(classes - start, CHUNK).to(tl.int32)
            part, more_wrong = part_of(
                source, start, length, scale, lane_scale,
                softmax, masked, in_a_row, has_tail, full, together, blocks,
            )  # fmt: skip
            wrong = wrong | more_wrong
            state, segment = joined(
                s, state, segment, part, number, scale, per_segment, softmax, together, per_segment > 1
            )
        bad = (wrong > 0) | (tl.abs(state[0]) == float("inf"))
        if softmax:
            total = state[4]
            plain = (state[2] == 0.0) & ((state[0] - state[1]) * scale[0] < PLAIN_RANGE)
            factor, lacking = multiplier(inverse(total, BIAS))
            factor = (spread(factor, together), spread_all(lacking, together))
            known_row = (
                spread_all(inverse(total, LIFT), together),
                spread_all(constants_of(state[2], state[3], scale[2]), together),
                spread(plain, together),
            )
            bad_rows = spread(bad, together)
            if masked:
                _write_long_probabilities(
                    target, source, classes, known_row, bad_rows, lane_scale, factor,
                    False, masked, in_a_row, has_tail, full, blocks,
                )  # fmt: skip
            elif is_for_all(plain & (bad == 0), together):
                _write_long_probabilities(
                    target, source, classes, known_row, bad_rows, lane_scale, factor,
                    True, masked, in_a_row, has_tail, full, blocks,
                )  # fmt: skip
            else:
                _write_long_probabilities(
                    target, source, classes, known_row, bad_rows, lane_scale, factor,
                    False, masked, in_a_row, has_tail, full, blocks,
                )  # fmt: skip
    else:
        length = classes.to(tl.int32)
        start = first_row * 0
        tiles, tail = load_chunk(source, start, length, repeats, masked, in_a_row, has_tail, full, blocks)
        top, runner_up, least = extremes(tiles, tail, length, repeats, full, together, blocks)
        wrong = (top != top).to(tl.int32)
        bad = (wrong > 0) | (tl.abs(top) == float("inf"))
        offset, power, constants, plain = reference(top, runner_up, least, scale, softmax)
        chunk = spread_all((top, runner_up, plain), together) + (spread_all(constants, together),)
        if softmax:
            if masked:
                _write_row(
                    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
                    False, masked, in_a_row, full, together, blocks,
                )  # fmt: skip
            elif is_for_all(plain == 1, together):
                _write_row(
                    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
                    True, masked, in_a_row, full, together, blocks,
                )  # fmt: skip
            else:
                _write_row(
                    target, source, start, length, tiles, tail, chunk, bad, lane_scale,
                    False, masked, in_a_row, full, together, blocks,
                )  # fmt: skip
        else:
            total = total_by_kind(
                tiles, tail, length, chunk, plain, lane_scale, False, masked, full, together, blocks
            )
            total, rest = finished_total(
                total, tiles, tail, length, top, runner_up, offset, power, scale, full, together, blocks
            )
            state = (top.to(tl.float64), least.to(tl.float64), offset, power, total, rest)

    if not softmax:
        logarithm = logarithm_of(state, bad, unit_temperature)
        if function == LOGSUMEXP:
            here = first_row + row_numbers(together)
            out, cancels = logsumexp_of(logarithm[0], logarithm[1], wrong > 0, bad)
            there = here < rows
            tl.store(flags + tl.where(there, here, 0), cancels, mask=there)
            at = offset_of(tl.where(there, here, 0), outer, outer_out)
            tl.store(result + at, rounded(out, result.dtype.element_ty, False), mask=there)
        else:
            known_row = spread_all(logarithm, together) + (slope,)
            bad_rows = spread(bad, together)
            if is_long:
                if is_for_all(logarithm[3], together):
                    _write_long_logarithms(
                        target, source, classes, known_row, bad_rows,
                        True, masked, in_a_row, has_tail, full, together, blocks,
                    )  # fmt: skip
                else:
                    _write_long_logarithms(
                        target, source, classes, known_row, bad_rows,
                        False, masked, in_a_row, has_tail, full, together, blocks,
                    )  # fmt: skip
            elif is_for_all(logarithm[3], together):
                _write_logarithms(
                    target, source, start, length, tiles, tail, known_row, bad_rows,
                    True, masked, in_a_row, together, blocks,
                )  # fmt: skip
            else:
                _write_logarithms(
                    target, source, start, length, tiles, tail, known_row, bad_rows,
                    False, masked, in_a_row, together, blocks,
                )  # fmt: skip
