"""softmax, log_softmax and logsumexp of tensors on a GPU: the bits of the compiled kernels, in Triton.

Rows of up to some hundred classes are computed one in each thread (`short_rows`), longer ones by a whole block of
threads. A row that fits the registers is read once. A longer one is read again where something is written for
each class.
"""

import triton
import triton.language as tl

from .arithmetic import (
    BIAS,
    LIFT,
    PLAIN_RANGE,
    START,
    VANISHING,
    arguments_as_numbers,
    constants_of,
    double,
    exponential,
    inverse,
    log1p,
    plain_tables,
    ratio,
    scale_total,
    tables_times,
    two_sum,
)
from .cancellation import logsumexp_near_zero
from .row_sums import (
    add_up,
    chosen_part,
    flushed,
    joined_lanes,
    known,
    load_logits,
    merged,
    nothing_known,
    offset_of,
    part_at,
    reference_of,
    term,
    with_tail,
)

SOFTMAX = tl.constexpr(0)
LOG_SOFTMAX = tl.constexpr(1)
LOGSUMEXP = tl.constexpr(2)
CHUNK = tl.constexpr(4096)


@triton.jit
def _there(length, block, j):
    """Return which of (groups, blocks, 64) elements of step ``j`` there are: all of the last axis or none."""
    return block * 512 + j * 64 + 64 <= length[:, None, None]


@triton.jit
def _tile(source, start, length, block, j, masked: tl.constexpr):
    """Load step ``j`` of blocks: (groups, blocks, 64) logits."""
    inside = block * 512 + j * 64 + tl.arange(0, 64)[None, None, :]
    return load_logits(source, start[:, None, None] + inside, _there(length, block, j) & (inside >= 0), masked)


@triton.jit
def _tail(source, start, length, masked: tl.constexpr):
    """Load what is left of chunks, fewer than 64 elements: (groups, 1, 64), and which there are."""
    inside = (length // 64 * 64)[:, None, None] + tl.arange(0, 64)[None, None, :]
    there = inside < length[:, None, None]
    return load_logits(source, start[:, None, None] + inside, there, masked), there


@triton.jit
def _seen(extremes, x, there, softmax: tl.constexpr):
    """Take more elements into the largest, the second largest, the smallest, and whether there is a NaN."""
    most, second, least, wrong = extremes
    v = known(x)
    if not softmax:
        second = tl.maximum(second, tl.minimum(most, v))
    wrong = wrong | (there & (x != x)).to(tl.int32)
    return tl.maximum(most, v), second, tl.minimum(least, tl.where(there, v, float("inf"))), wrong


@triton.jit
def _reduced(extremes):
    """Return the largest of each group, the largest of the others, the smallest, and whether there is a NaN."""
    most, second, least, wrong = extremes
    top = tl.max(tl.max(most, axis=2), axis=1)
    is_top = most == top[:, None, None]
    alone = tl.sum(tl.sum(is_top.to(tl.int32), axis=2), axis=1) == 1
    runner_up = tl.max(tl.max(tl.where(is_top, second, most), axis=2), axis=1)
    least = tl.min(tl.min(least, axis=2), axis=1)
    return top, tl.where(alone, runner_up, top), least, tl.max(tl.max(wrong, axis=2), axis=1)


@triton.jit
def _equal_to(x, top, there):
    """Return 1 where an element is the largest of its chunk."""
    return (there & (x == top[:, None, None])).to(tl.int32)


@triton.jit
def _summed_blocks(
    source, start, length, first, ends_here, is_last, top, plain, constants, lane_scale, tables, wide, ties, tiles, tail,
    softmax: tl.constexpr, masked: tl.constexpr, kept: tl.constexpr, has_tail: tl.constexpr,
    groups: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Add some blocks of chunks to their sums; return the parts of the exponentials too."""
    block = first + tl.arange(0, blocks)[None, :, None]
    high = tl.full((groups, blocks, 64), START, tl.float32)
    low = tl.zeros((groups, blocks, 64), tl.float32)
    values = ()
    excesses = ()
    for j in tl.static_range(8):
        if kept:
            x = tiles[j]
        else:
            x = _tile(source, start, length, block, j, masked)
        there = _there(length, block, j)
        value, excess = term(x, top, plain, there, constants, lane_scale, tables, softmax)
        high, low = add_up(high, low, value, excess)
        if not softmax:
            ties += _equal_to(x, top, there)
        if kept:
            values = values + (value,)
            excesses = excesses + (excess,)
    if has_tail:
        if ends_here:
            if kept:
                x, there = tail
            else:
                x, there = _tail(source, start, length, masked)
            lane = tl.arange(0, 64)[None, None, :]
            vectors = (length // 64 * 64)[:, None, None] + lane // 16 * 16 < length[:, None, None]
            vectors = tl.where(plain[:, None, None], there, vectors)
            value, excess = term(x, top, plain, vectors, constants, lane_scale, tables, softmax)
            last_block = (tl.maximum(length // 64 - 1, 0) // 8)[:, None, None]
            chosen = (block == last_block) & is_last[:, None, None] & (lane < 16)
            high, low = with_tail(high, low, value, excess, chosen, groups, blocks)
            if not softmax:
                ties += tl.where(block == last_block, _equal_to(x, top, there), 0)
    return flushed(wide, high, low, groups, blocks), ties, values, excesses


@triton.jit
def _part_of_chunks(
    s, source, row_there, classes, scale, lane_scale, tables, tiles, tail,
    softmax: tl.constexpr, masked: tl.constexpr, kept: tl.constexpr, has_tail: tl.constexpr,
    rows: tl.constexpr, chunks: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return what is known of chunks s * chunks, s * chunks + 1, ... of each row, and the parts of the exponentials."""
    scale_high, scale_low, scale_inverse = scale
    groups: tl.constexpr = rows * chunks
    steps: tl.constexpr = 8 // blocks
    number = tl.cdiv(classes, CHUNK)
    chunk = s * chunks + tl.arange(0, groups) % chunks
    start = chunk * CHUNK
    length = tl.where(row_there, tl.minimum(tl.maximum(classes - start, 0), CHUNK), 0)

    nothing = tl.full((groups, blocks, 64), float("-inf"), tl.float32)
    extremes = (nothing, nothing, -nothing, tl.zeros((groups, blocks, 64), tl.int32))
    if kept:
        for j in tl.static_range(8):
            there = _there(length, tl.arange(0, blocks)[None, :, None], j)
            extremes = _seen(extremes, tiles[j], there, softmax)
    else:
        for f in range(0, steps):
            block = f * blocks + tl.arange(0, blocks)[None, :, None]
            for j in tl.static_range(8):
                x = _tile(source, start, length, block, j, masked)
                extremes = _seen(extremes, x, _there(length, block, j), softmax)
    if has_tail:
        if kept:
            x, there = tail
        else:
            x, there = _tail(source, start, length, masked)
        first_block = tl.arange(0, blocks)[None, :, None] == 0
        extremes = _seen(extremes, tl.where(first_block, x, float("-inf")), there & first_block, softmax)
    top, runner_up, least, wrong = _reduced(extremes)

    relative_to = top
    if not softmax:
        relative_to = runner_up
    offset, power, constants = reference_of(relative_to, scale_high, scale_inverse)
    top_offset, _, _ = reference_of(top, scale_high, scale_inverse)
    span = (relative_to.to(tl.float64) - least.to(tl.float64)) * scale_high
    plain = (offset == 0.0) & (top_offset == 0.0) & (span < PLAIN_RANGE)
    wide = tl.zeros((groups, 16), tl.float64)
    ties = tl.zeros((groups, blocks, 64), tl.int32)
    is_last = chunk == number - 1
    if kept:
        wide, ties, values, excesses = _summed_blocks(
            source, start, length, 0, True, is_last, top, plain, constants, lane_scale, tables, wide, ties, tiles, tail,
            softmax, masked, kept, has_tail, groups, blocks,
        )  # fmt: skip
    else:
        values = ()
        excesses = ()
        last_block = tl.maximum((classes - (number - 1) * CHUNK) // 64 - 1, 0) // 8
        for f in range(0, steps):
            ends_here = ((f + 1) * blocks > last_block) & (f * blocks <= last_block) & (s == (number - 1) // chunks)
            wide, ties, _, _ = _summed_blocks(
                source, start, length, f * blocks, ends_here, is_last, top, plain, constants, lane_scale, tables, wide,
                ties, (), (), softmax, masked, kept, has_tail, groups, blocks,
            )  # fmt: skip
    total = joined_lanes(wide, groups)
    rest = total * 0.0
    top = top.to(tl.float64)
    if not softmax:
        f_high, f_low = ratio(scale_high, scale_low, offset, top, power + 300.0)
        total, rest = scale_total(total, rest, f_high, f_low)
        total = total * double(2.0**-362)
        rest = rest * double(2.0**-362)
        equal = tl.sum(tl.sum(ties, axis=2), axis=1)
        tied_high, tied_low = two_sum(total, (equal - 1).to(tl.float64))
        tied_high, tied_low = two_sum(tied_high, tied_low + rest)
        tied = runner_up.to(tl.float64) == top
        total = tl.where(tied, tied_high, total)
        rest = tl.where(tied, tied_low, rest)
        alone = runner_up == float("-inf")
        total = tl.where(alone, 0.0, total)
        rest = tl.where(alone, 0.0, rest)
    part = (top, least.to(tl.float64), offset, power, total, rest)
    return part, tl.max(tl.reshape(wrong, (rows, chunks)), axis=1), values, excesses


@triton.jit
def _joined_chunks(
    s, state, segment, part, number, scale,
    softmax: tl.constexpr, rows: tl.constexpr, chunks: tl.constexpr, per_segment: tl.constexpr,
):  # fmt: skip
    """Join chunks that are known to what is known of each row: within a segment first, then segment by segment."""
    for c in tl.static_range(chunks):
        at = s * chunks + c
        one = part_at(part, c, rows, chunks)
        if per_segment > 1:
            within = at % per_segment
            joined = chosen_part(within > 0, merged(scale[0], scale[1], segment, one, softmax), one)
            segment = chosen_part(at < number, joined, segment)
            ends = ((within == per_segment - 1) & (at < number)) | (at == number - 1)
        else:
            segment = one
            ends = at < number
        joined = chosen_part(at < per_segment, segment, merged(scale[0], scale[1], state, segment, softmax))
        state = chosen_part(ends, joined, state)
    return state, segment


@triton.jit
def _spread(x, rows: tl.constexpr, chunks: tl.constexpr):
    """Return one number for each chunk of each row: (rows,) to (rows * chunks, 1, 1)."""
    return tl.reshape(tl.broadcast_to(x[:, None], (rows, chunks)), (rows * chunks, 1, 1))


@triton.jit
def _spread_all(xs, rows: tl.constexpr, chunks: tl.constexpr):
    """Return several numbers for each chunk of each row."""
    out = ()
    for i in tl.static_range(len(xs)):
        out = out + (_spread(xs[i], rows, chunks),)
    return out


@triton.jit
def _probability(value, excess, share):
    """Return value * (1 + excess) over the total, rounded once, where the result is subnormal too."""
    lifted = tl.fma(value, share[0], value * tl.fma(excess, share[0], share[1]))
    return tl.where(lifted > VANISHING, lifted * (1 / LIFT), 0.0)


@triton.jit
def _result_of(x, value, excess, known_row, lane_scale, tables, function: tl.constexpr, kept_values: tl.constexpr,
               is_long: tl.constexpr):  # fmt: skip
    """Return what is written for each class, from its logit or from the parts of its exponential."""
    if function == SOFTMAX:
        share, plain, constants, fine = known_row
        if not kept_values:
            value, excess = exponential(
                x, constants[0], constants[1], constants[2], lane_scale[0], lane_scale[1], tables[0], tables[1]
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
    tl.store(result + (at + offset_of(k, lengths, strides)), out.to(result.dtype.element_ty), mask=there)


@triton.jit
def rows_kernel(
    logits, result, mask, rows, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32, slope: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, unit_temperature: tl.constexpr,
    together: tl.constexpr, chunks: tl.constexpr, blocks: tl.constexpr, kept: tl.constexpr, has_tail: tl.constexpr, is_long: tl.constexpr, per_segment: tl.constexpr,
):  # fmt: skip
    """Compute ``together`` rows of more than some hundred classes.

    ``chunks`` chunks of a row, and ``blocks`` blocks of a chunk, are read side by side. With ``kept`` that is all of
    the row, and it is read once.
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
    source = (logits, offset_of(row, outer, outer_in)[:, None, None], inner, inner_in, mask, mask_at, inner_mask)
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
            tiles = tiles + (_tile(source, start, length, block, j, masked),)
        if has_tail:
            tail = _tail(source, start, length, masked)
        part, wrong, values, excesses = _part_of_chunks(
            0, source, row_there, classes, scale, lane_scale, tables, tiles, tail,
            softmax, masked, kept, has_tail, together, chunks, blocks,
        )  # fmt: skip
        state, segment = _joined_chunks(0, state, segment, part, number, scale, softmax, together, chunks, per_segment)
    else:
        wrong = tl.zeros((together,), tl.int32)
        for s in range(0, tl.cdiv(number, chunks)):
            part, more_wrong, _, _ = _part_of_chunks(
                s, source, row_there, classes, scale, lane_scale, tables, (), (),
                softmax, masked, kept, has_tail, together, chunks, blocks,
            )  # fmt: skip
            wrong = wrong | more_wrong
            state, segment = _joined_chunks(
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
            fine = (_spread_all(fine_values, together, chunks), _spread_all(fine_lacking, together, chunks))
        known_row = (
            _spread_all(inverse(total, LIFT), together, chunks),
            _spread(plain, together, chunks),
            _spread_all(constants_of(offset, power, scale[2]), together, chunks),
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
        known_row = (
            _spread(most, together, chunks),
            _spread(log_high, together, chunks),
            _spread(near, together, chunks),
            _spread(shift_high, together, chunks),
            _spread(shift_low, together, chunks),
            slope,
            tl.min(near.to(tl.int32), axis=0),
        )
    if function == LOGSUMEXP:
        rows_here = first_row + tl.arange(0, together)
        there = rows_here < rows
        out = logsumexp_near_zero(most, log_high, wrong > 0, bad)
        at = offset_of(tl.where(there, rows_here, 0), outer, outer_out)
        tl.store(result + at, out.to(result.dtype.element_ty), mask=there)
    else:
        target = (result, offset_of(row, outer, outer_out)[:, None, None], inner_out)
        bad_rows = _spread(bad, together, chunks)
        if kept:
            start = g % chunks * CHUNK
            length = tl.where(row_there, tl.minimum(tl.maximum(classes - start, 0), CHUNK), 0)
            for j in tl.static_range(8):
                k = start[:, None, None] + block * 512 + j * 64 + tl.arange(0, 64)[None, None, :]
                there = _there(length, block, j) & (k >= 0)
                out = _result_of(
                    tiles[j], values[j], excesses[j], known_row, lane_scale, tables, function, kept_values, is_long
                )
                _store(target, k, out, there, source, bad_rows, masked, hidden)
            if has_tail:
                k = start[:, None, None] + (length // 64 * 64)[:, None, None] + tl.arange(0, 64)[None, None, :]
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
                        x = _tile(source, start, length, here, j, masked)
                        out = _result_of(x, x, x, known_row, lane_scale, tables, function, False, is_long)
                        _store(target, k, out, _there(length, here, j) & (k >= 0), source, bad_rows, masked, hidden)
                if has_tail:
                    k = start[:, None, None] + (length // 64 * 64)[:, None, None] + tl.arange(0, 64)[None, None, :]
                    x, there = _tail(source, start, length, masked)
                    out = _result_of(x, x, x, known_row, lane_scale, tables, function, False, is_long)
                    _store(target, k, out, there, source, bad_rows, masked, hidden)
