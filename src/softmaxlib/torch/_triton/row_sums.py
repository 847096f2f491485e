"""Sums of rows of exponentials, in the order of the compiled kernels.

A chunk of 4096 elements is summed by 64 sequences. Each adds every 64th element, and is emptied into a double
after eight of them. Chunks are joined in order. No sum depends on how Triton lays a block out over threads:
each is between two named numbers, or between one number and zeros.

A *part* is the state of some elements of a row, all in double: maximum, minimum, offset, power, total, rest
of the total. ``total * 2^power`` is the sum of exp((x - offset) / T). If a logarithm is wanted, the total
leaves the maximum out and is relative to its exponential.

Blocks have the shape (rows, blocks of 512 elements, 64).
"""

import triton
import triton.language as tl

from .arithmetic import START, constants_of, double, references
from .doubles import add_totals, ratio, scale_total


@triton.jit
def offset_of(index, lengths, strides):
    """Return where element ``index`` lies along several dimensions, the last of which runs fastest."""
    index = index.to(tl.int64)
    offset = index * 0
    for back in tl.static_range(len(lengths) - 1):
        d: tl.constexpr = len(lengths) - 1 - back
        offset += index % lengths[d] * strides[d]
        index = index // lengths[d]
    return offset + index * strides[0]


@triton.jit
def places(pointer, at, start, inside, lengths, strides, in_a_row: tl.constexpr):
    """Return the addresses of elements ``start + inside`` of rows that begin at ``at``."""
    if in_a_row:
        out = (pointer + (at + start)) + inside
    else:
        out = pointer + (at + offset_of(start + inside, lengths, strides))
    return out


@triton.jit
def load_part(
    source, start, inside, there, filler, masked: tl.constexpr, in_a_row: tl.constexpr, policy: tl.constexpr
):
    """Load elements of rows as float32; a masked one is -inf, one that is not there ``filler``."""
    logits, at, lengths, strides, mask, mask_at, mask_strides = source
    here = places(logits, at, start, inside, lengths, strides, in_a_row)
    x = tl.load(here, mask=there, other=filler, eviction_policy=policy).to(tl.float32)
    if masked:
        nothing = None
        if there is not None:
            nothing = 0
        kept = tl.load(
            places(mask, mask_at, start, inside, lengths, mask_strides, in_a_row), mask=there, other=nothing
        )
        x = tl.where(kept != 0, x, float("-inf"))
    return x


@triton.jit
def load_logits(source, k, there, masked: tl.constexpr):
    """Load elements ``k`` of rows as float32; what is masked or not there is -inf."""
    return load_part(source, 0, k, there, float("-inf"), masked, False, "")


@triton.jit
def known(x):
    """Return the numbers, with -inf in the place of NaN."""
    return tl.where(x == x, x, float("-inf"))


@triton.jit
def larger(a, b):
    """Return the larger number, NaN where one is NaN."""
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def largest_and_smallest(a, a_least, b, b_least):
    """Return the largest and the smallest number of two sets."""
    return larger(a, b), tl.minimum(a_least, b_least)


@triton.jit
def two_largest_and_smallest(a, a_second, a_least, b, b_second, b_least):
    """Return the two largest and the smallest number of two sets."""
    second = tl.maximum(tl.maximum(a_second, b_second), tl.minimum(a, b))
    return larger(a, b), second, tl.minimum(a_least, b_least)


@triton.jit
def add_up(high, low, value, excess):
    """Add value * (1 + excess) to a sum in two parts."""
    s = high + value
    d = value - (s - high)
    return s, tl.fma(value, excess, low) + d


@triton.jit
def settled(high, low):
    """Move to the first part of a sum what the second has of its digits."""
    s = high + low
    return s, low - (s - high)


@triton.jit
def _in_order(parts, rows: tl.constexpr, blocks: tl.constexpr):
    """Add blocks one after the other: (rows, blocks, 16) to (rows, 16)."""
    x = tl.permute(parts, (0, 2, 1))
    if blocks == 1:
        total = tl.reshape(x, (rows, 16))
    elif blocks == 2:
        first, second = tl.split(x)
        total = first + second
    elif blocks == 4:
        even, odd = tl.split(tl.reshape(x, (rows, 16, 2, 2)))
        a, c = tl.split(even)
        b, d = tl.split(odd)
        total = ((a + b) + c) + d
    else:
        even, odd = tl.split(tl.reshape(x, (rows, 16, 2, 2, 2)))
        even_low, even_high = _halves(even)
        odd_low, odd_high = _halves(odd)
        a, c = tl.split(even_low)
        e, g = tl.split(even_high)
        b, d = tl.split(odd_low)
        f, h = tl.split(odd_high)
        total = ((((((a + b) + c) + d) + e) + f) + g) + h
    return total


@triton.jit
def _halves(x):
    """Split (rows, 16, 2, 2) along the last axis but one."""
    return tl.split(tl.permute(x, (0, 1, 3, 2)))


@triton.jit
def _taken(here, x):
    """Return the first accumulators of one block, (rows, 16)."""
    return tl.sum(tl.sum(tl.sum(tl.where(here, x, 0.0), axis=3), axis=2), axis=1)


@triton.jit
def emptied(high, low, tail, rows: tl.constexpr, blocks: tl.constexpr):
    """Return the total of a chunk, (rows,), from its accumulators and the terms after the last whole vector.

    ``tail`` holds parts of exponentials, (rows, 1, 64) each, and the block whose first accumulators take
    them. It is empty where all elements are in the accumulators.
    """
    high = tl.reshape(high, (rows, blocks, 2, 2, 16))
    low = tl.reshape(low, (rows, blocks, 2, 2, 16))
    if len(tail) > 0:
        block = tl.arange(0, blocks)[None, :, None, None, None]
        accumulator = (
            tl.arange(0, 2)[None, None, :, None, None] * 2 + tl.arange(0, 2)[None, None, None, :, None]
        )
        here = (block == tail[2]) & (accumulator == 0)
        a, a_low = _taken(here, high), _taken(here, low)
        values = tl.reshape(tail[0], (rows, 4, 16))
        excesses = tl.reshape(tail[1], (rows, 4, 16))
        for e in tl.static_range(4):
            mine = tl.arange(0, 4)[None, :, None] == e
            value = tl.sum(tl.where(mine, values, 0.0), axis=1)
            excess = tl.sum(tl.where(mine, excesses, 0.0), axis=1)
            a, a_low = add_up(a, a_low, value, excess)
        a, a_low = settled(a, a_low)
        high = tl.where(here, tl.reshape(a, (rows, 1, 1, 1, 16)), high)
        low = tl.where(here, tl.reshape(a_low, (rows, 1, 1, 1, 16)), low)
    # a sum of two numbers has no order: (a + b) + (c + d) of the four accumulators
    parts = tl.sum(tl.sum(high - START, axis=3), axis=2).to(tl.float64)
    parts += tl.sum(tl.sum(low, axis=3), axis=2).to(tl.float64)
    wide = _in_order(parts, rows, blocks)
    for halving in tl.static_range(4):
        wide = tl.sum(tl.reshape(wide, (rows, 2, 8 >> halving)), axis=1)
    return tl.reshape(wide, (rows,))


@triton.jit
def reference_of(maximum, scale_high, scale_inverse):
    """Return offset and power of a reference, and its constants in float32; 0 beside what is not finite."""
    finite = tl.where(tl.abs(maximum) < float("inf"), maximum, 0.0).to(tl.float64)
    offset, power = references(finite, scale_high)
    return offset, power, constants_of(offset, power, scale_inverse)


@triton.jit
def of_rows(x, rows: tl.constexpr):
    """Return a row's number from (1,); the numbers of several rows stay together."""
    if rows == 1:
        out = tl.sum(x, axis=0)
    else:
        out = x
    return out


@triton.jit
def spread(x, rows: tl.constexpr):
    """Return numbers of rows beside blocks: one row's is a number already."""
    if rows == 1:
        out = x
    else:
        out = x[:, None, None]
    return out


@triton.jit
def row_numbers(rows: tl.constexpr):
    """Return 0, 1, ... for rows, or 0 for one."""
    return of_rows(tl.arange(0, rows), rows)


@triton.jit
def spread_all(xs, rows: tl.constexpr):
    """Return several numbers of rows beside blocks."""
    out = ()
    for i in tl.static_range(len(xs)):
        out = out + (spread(xs[i], rows),)
    return out


@triton.jit
def is_for_all(condition, rows: tl.constexpr):
    """Return whether a condition holds for all rows."""
    if rows == 1:
        out = condition
    else:
        out = tl.min(condition.to(tl.int32), axis=0) == 1
    return out


@triton.jit
def is_for_any(condition, rows: tl.constexpr):
    """Return whether a condition, 0 or 1, holds for a row."""
    if rows == 1:
        out = condition == 1
    else:
        out = tl.max(condition, axis=0) == 1
    return out


@triton.jit
def power_of_two(n):
    """Return 2^n for whole numbers above -1022, in double."""
    return ((n.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)


@triton.jit
def _scale_of_smaller(scale, small, big, rows: tl.constexpr):
    """Return what a total is multiplied by, in two parts, when its reference becomes another."""
    steps = small[3] - big[3]
    near = (small[2] == 0.0) & (big[2] == 0.0) & (steps > -1000.0)
    if is_for_all(near, rows):
        high = power_of_two(steps)
        low = steps * 0.0
    else:
        high, low = ratio(scale[0], scale[1], small[2], big[2], steps)
    return high, low


@triton.jit
def merged(scale, a, b, softmax: tl.constexpr, rows: tl.constexpr):
    """Join two neighbouring parts of rows."""
    first = a[0] >= b[0]
    big = chosen_part(first, a, b)
    small = chosen_part(first, b, a)
    if softmax:
        f_high, f_low = _scale_of_smaller(scale, small, big, rows)
        s_high, s_low = scale_total(small[4], small[5], f_high, f_low)
    else:
        f_high, f_low = ratio(scale[0], scale[1], small[0], big[0], double(300.0))
        s_high, s_low = add_totals(small[4], small[5], double(1.0), double(0.0))
        s_high, s_low = scale_total(s_high, s_low, f_high, f_low)
        s_high = s_high * double(2.0**-300)
        s_low = s_low * double(2.0**-300)
    high, low = add_totals(big[4], big[5], s_high, s_low)
    alone = (small[0] == float("-inf")) | (big[0] == float("inf"))
    least = tl.where(a[1] < b[1], a[1], b[1])
    return big[0], least, big[2], big[3], tl.where(alone, big[4], high), tl.where(alone, big[5], low)


@triton.jit
def chosen_part(condition, a, b):
    """Return one of two parts, row by row."""
    out = ()
    for i in tl.static_range(6):
        out = out + (tl.where(condition, a[i], b[i]),)
    return out


@triton.jit
def joined(
    at, state, segment, part, number, scale, per_segment,
    softmax: tl.constexpr, rows: tl.constexpr, segmented: tl.constexpr,
):  # fmt: skip
    """Join chunk ``at`` to what is known of rows: within a segment first, then segment by segment."""
    if segmented:
        within = at % per_segment
        if within > 0:
            segment = merged(scale, segment, part, softmax, rows)
        else:
            segment = part
        if (within == per_segment - 1) | (at == number - 1):
            if at < per_segment:
                state = segment
            else:
                state = merged(scale, state, segment, softmax, rows)
    elif at > 0:
        state = merged(scale, state, part, softmax, rows)
    else:
        state = part
    return state, segment


@triton.jit
def nothing_known(rows: tl.constexpr):
    """Return the part that is no element."""
    if rows == 1:
        zero = double(0.0)
    else:
        zero = tl.zeros((rows,), tl.float64)
    return zero + float("-inf"), zero + float("inf"), zero, zero, zero, zero
