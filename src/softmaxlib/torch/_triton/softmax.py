"""softmax, log_softmax and logsumexp of tensors on a GPU: the bits of the compiled kernels, in Triton.

Rows of up to some hundred classes are computed one in each thread (`short_rows`), longer ones by a block of
threads. A row that fits the registers is read once. A longer one is read again where something is written
for each class.
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
    log1p,
    plain_tables,
    rounded,
    tables_times,
    two_sum,
)
from .cancellation import logsumexp_of
from .chunks import CHUNK, joined_chunks, load_tail, load_tile, part_of_chunks, tile_there
from .row_sums import nothing_known, offset_of

SOFTMAX = tl.constexpr(0)
LOG_SOFTMAX = tl.constexpr(1)
LOGSUMEXP = tl.constexpr(2)


@triton.jit
def _spread(x, rows: tl.constexpr):
    """Return numbers of rows beside (groups, blocks, 64): one row's is a number already."""
    if rows == 1:
        out = x
    else:
        out = x[:, None, None]
    return out


@triton.jit
def _spread_all(xs, rows: tl.constexpr):
    """Return several numbers of rows beside (groups, blocks, 64)."""
    out = ()
    for i in tl.static_range(len(xs)):
        out = out + (_spread(xs[i], rows),)
    return out


@triton.jit
def _probability(value, excess, share):
    """Return value * (1 + excess) over the total, rounded once, where the result is subnormal too."""
    lifted = tl.fma(value, share[0], value * tl.fma(excess, share[0], share[1]))
    return tl.where(lifted > VANISHING, lifted * (1 / LIFT), 0.0)


@triton.jit
def _result_of(
    x, value, excess, known_row, lane_scale, tables,
    function: tl.constexpr, kept_values: tl.constexpr, is_long: tl.constexpr,
):  # fmt: skip
    """Return what is written for each class, from its logit or from the parts of its exponential."""
    if function == SOFTMAX:
        share, plain, constants, fine = known_row
        if not kept_values:
            value, excess = exponential(
                x,
                constants[0],
                constants[1],
                constants[2],
                lane_scale[0],
                lane_scale[1],
                tables[0],
                tables[1],
            )
        out = _probability(value, excess, share)
        if is_long:
            v, q = exponential(
                x, constants[0], constants[1], constants[2], lane_scale[0], lane_scale[1], fine[0], fine[1]
            )
            out = tl.where(plain, tl.fma(v, q, v), out)
    else:
        most, log_high, near, shift_high, shift_low, slope, all_near = known_row
        difference = x - shift_high
        part = difference - x
        rest = ((x - (difference - part)) - (part + shift_high)) - shift_low
        out = difference + tl.where(rest < 2.0**100, rest, 2.0**100)
        if all_near == 0:
            exact = tl.fma(x.to(tl.float64) - most, slope, -log_high).to(tl.float32)
            out = tl.where(near, out, exact)
    return out


@triton.jit
def _store(target, k, out, there, source, bad, masked: tl.constexpr, hidden: tl.constexpr):
    """Write results: NaN in bad rows, and ``hidden`` where the mask is False."""
    result, at, strides = target
    lengths = source[2]
    out = tl.where(bad, float("nan"), out)
    if masked:
        kept = tl.load(source[4] + (source[5] + offset_of(k, lengths, source[6])), mask=there, other=0)
        out = tl.where(kept != 0, out, hidden)
    tl.store(
        result + (at + offset_of(k, lengths, strides)), rounded(out, result.dtype.element_ty), mask=there
    )


@triton.jit
def rows_kernel(
    logits, result, flags, mask, rows, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32, slope: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, unit_temperature: tl.constexpr,
    together: tl.constexpr, chunks: tl.constexpr, blocks: tl.constexpr,
    kept: tl.constexpr, has_tail: tl.constexpr, is_long: tl.constexpr, per_segment: tl.constexpr,
):  # fmt: skip
    """Compute ``together`` rows of more than some hundred classes.

    ``chunks`` chunks of a row and ``blocks`` blocks of a chunk are read side by side. With ``kept`` that is
    the whole row, and it is read once.
    """
    softmax: tl.constexpr = function == SOFTMAX
    hidden: tl.constexpr = float("-inf") if function == LOG_SOFTMAX else 0.0
    groups: tl.constexpr = together * chunks
    kept_values: tl.constexpr = kept and softmax and not is_long
    g = tl.arange(0, groups)
    first_row = tl.program_id(0).to(tl.int64) * together
    row_there = first_row + g // chunks < rows
    row = tl.where(row_there, first_row + g // chunks, 0)
    mask_at = offset_of(row, outer, outer_mask)[:, None, None]
    source = (
        logits,
        offset_of(row, outer, outer_in)[:, None, None],
        inner,
        inner_in,
        mask,
        mask_at,
        inner_mask,
    )
    scale, lane_scale, slope = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, slope
    )
    tables = plain_tables()
    number = tl.cdiv(classes, CHUNK)
    block = tl.arange(0, blocks)[None, :, None]

    tiles = ()
    tail = ()
    state = nothing_known(together)
    segment = nothing_known(together)
    if kept:
        start = g % chunks * CHUNK
        length = tl.where(row_there, tl.minimum(tl.maximum(classes - start, 0), CHUNK), 0)
        for j in tl.static_range(8):
            tiles = tiles + (load_tile(source, start, length, block, j, masked),)
        if has_tail:
            tail = load_tail(source, start, length, masked)
        part, wrong, values, excesses = part_of_chunks(
            0, source, row_there, classes, scale, lane_scale, tables, tiles, tail,
            softmax, masked, kept, has_tail, together, chunks, blocks,
        )  # fmt: skip
        state, segment = joined_chunks(
            0, state, segment, part, number, scale, softmax, together, chunks, per_segment
        )
    else:
        wrong = 0
        if together > 1:
            wrong = tl.zeros((together,), tl.int32)
        for s in range(0, tl.cdiv(number, chunks)):
            part, more_wrong, no_values, no_excesses = part_of_chunks(
                s, source, row_there, classes, scale, lane_scale, tables, (), (),
                softmax, masked, kept, has_tail, together, chunks, blocks,
            )  # fmt: skip
            wrong = wrong | more_wrong
            state, segment = joined_chunks(
                s, state, segment, part, number, scale, softmax, together, chunks, per_segment
            )

    most, least, offset, power, total, rest = state
    bad = (wrong > 0) | (tl.abs(most) == float("inf"))
    if softmax:
        plain = (offset == 0.0) & ((most - least) * scale[0] < PLAIN_RANGE)
        fine = ((), ())
        if is_long:
            unit, unit_rest = inverse(total, BIAS)
            fine_values, fine_lacking = tables_times(unit, unit_rest)
            fine = (_spread_all(fine_values, together), _spread_all(fine_lacking, together))
        known_row = (
            _spread_all(inverse(total, LIFT), together),
            _spread(plain, together),
            _spread_all(constants_of(offset, power, scale[2]), together),
            fine,
        )
    else:
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
        all_near = near.to(tl.int32)
        if together > 1:
            all_near = tl.min(all_near, axis=0)
        known_row = (
            _spread(most, together),
            _spread(log_high, together),
            _spread(near, together),
            _spread(shift_high, together),
            _spread(shift_low, together),
            slope,
            all_near,
        )
    if function == LOGSUMEXP:
        rows_here = first_row
        if together > 1:
            rows_here = first_row + tl.arange(0, together)
        there = rows_here < rows
        out, cancels = logsumexp_of(most, log_high, wrong > 0, bad)
        tl.store(flags + tl.where(there, rows_here, 0), cancels, mask=there)
        at = offset_of(tl.where(there, rows_here, 0), outer, outer_out)
        tl.store(result + at, rounded(out, result.dtype.element_ty), mask=there)
    else:
        target = (result, offset_of(row, outer, outer_out)[:, None, None], inner_out)
        bad_rows = _spread(bad, together)
        if kept:
            start = g % chunks * CHUNK
            length = tl.where(row_there, tl.minimum(tl.maximum(classes - start, 0), CHUNK), 0)
            for j in tl.static_range(8):
                k = start[:, None, None] + block * 512 + j * 64 + tl.arange(0, 64)[None, None, :]
                there = tile_there(length, block, j) & (k >= 0)
                out = _result_of(
                    tiles[j],
                    values[j],
                    excesses[j],
                    known_row,
                    lane_scale,
                    tables,
                    function,
                    kept_values,
                    is_long,
                )
                _store(target, k, out, there, source, bad_rows, masked, hidden)
            if has_tail:
                k = (
                    start[:, None, None]
                    + (length // 64 * 64)[:, None, None]
                    + tl.arange(0, 64)[None, None, :]
                )
                x, there = tail
                out = _result_of(x, x, x, known_row, lane_scale, tables, function, False, is_long)
                _store(target, k, out, there, source, bad_rows, masked, hidden)
        else:
            for s in range(0, tl.cdiv(number, chunks)):
                start = (s * chunks + g % chunks) * CHUNK
                length = tl.where(row_there, tl.minimum(tl.maximum(classes - start, 0), CHUNK), 0)
                for f in range(0, 8 // blocks):
                    for j in tl.static_range(8):
                        here = block + f * blocks
                        k = start[:, None, None] + here * 512 + j * 64 + tl.arange(0, 64)[None, None, :]
                        x = load_tile(source, start, length, here, j, masked)
                        out = _result_of(x, x, x, known_row, lane_scale, tables, function, False, is_long)
                        _store(
                            target,
                            k,
                            out,
                            tile_there(length, here, j) & (k >= 0),
                            source,
                            bad_rows,
                            masked,
                            hidden,
                        )
                if has_tail:
                    k = (
                        start[:, None, None]
                        + (length // 64 * 64)[:, None, None]
                        + tl.arange(0, 64)[None, None, :]
                    )
                    x, there = load_tail(source, start, length, masked)
                    out = _result_of(x, x, x, known_row, lane_scale, tables, function, False, is_long)
                    _store(target, k, out, there, source, bad_rows, masked, hidden)
