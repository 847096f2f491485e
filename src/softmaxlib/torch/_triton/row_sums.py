"""What a row of logits sums to, in the order of the compiled kernels.

A chunk of 4096 elements is summed by 64 sequences. Each adds every 64th element, and is emptied into a double
after eight of them. Chunks are joined in order. No sum depends on how Triton lays a block out over threads:
each is either of two numbers, or of one number and zeros.

A *part* is what is known of some elements of a row, all in double: maximum, minimum, offset, power, total,
rest of the total. ``total * 2^power`` is the sum of exp((x - offset) / T). Where a logarithm is wanted, the
total leaves the maximum out and is relative to its exponential.
"""

import triton
import triton.language as tl

from .arithmetic import (
    START,
    add_totals,
    constants_of,
    double,
    exponential,
    ratio,
    references,
    scale_total,
)


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
def load_logits(source, k, there, masked: tl.constexpr):
    """Load elements ``k`` of rows as float32; what is masked or not there is -inf."""
    logits, at, lengths, strides, mask, mask_at, mask_strides = source
    x = tl.load(logits + (at + offset_of(k, lengths, strides)), mask=there, other=float("-inf")).to(
        tl.float32
    )
    if masked:
        kept = tl.load(mask + (mask_at + offset_of(k, lengths, mask_strides)), mask=there, other=0)
        x = tl.where(kept != 0, x, float("-inf"))
    return x


@triton.jit
def known(x):
    """Return the numbers, with -inf in the place of NaN."""
    return tl.where(x == x, x, float("-inf"))


@triton.jit
def add_up(high, low, value, excess):
    """Add value * (1 + excess) to a sum in two parts."""
    s = high + value
    d = value - (s - high)
    return s, low + tl.fma(value, excess, d)


@triton.jit
def joined_accumulators(x, groups: tl.constexpr, blocks: tl.constexpr):
    """Join the four accumulators of each lane: (groups, blocks, 64) to (groups, blocks, 16)."""
    x = tl.reshape(x, (groups, blocks, 2, 2, 16))
    return tl.sum(tl.sum(x, axis=3), axis=2)


@triton.jit
def joined_lanes(wide, groups: tl.constexpr):
    """Join sixteen lanes by halves: (groups, 16) to (groups,)."""
    wide = tl.sum(tl.reshape(wide, (groups, 2, 8)), axis=1)
    wide = tl.sum(tl.reshape(wide, (groups, 2, 4)), axis=1)
    wide = tl.sum(tl.reshape(wide, (groups, 2, 2)), axis=1)
    return tl.sum(wide, axis=1)


@triton.jit
def flushed(wide, high, low, groups: tl.constexpr, blocks: tl.constexpr):
    """Empty the accumulators into doubles (groups, 16), one block after the other."""
    parts = joined_accumulators(high - START, groups, blocks).to(tl.float64)
    parts = parts + joined_accumulators(low, groups, blocks).to(tl.float64)
    if blocks == 1:
        wide = wide + tl.reshape(parts, (groups, 16))
    else:
        block = tl.arange(0, blocks)[None, :, None]
        for f in tl.static_range(blocks):
            wide = wide + tl.sum(tl.where(block == f, parts, 0.0), axis=1)
    return wide


@triton.jit
def one_of_four(x, chosen, groups: tl.constexpr, blocks: tl.constexpr):
    """Return the accumulators that are chosen, sixteen in each group."""
    x = tl.reshape(tl.where(chosen, x, 0.0), (groups, blocks, 4, 16))
    return tl.sum(tl.sum(x, axis=2), axis=1)


@triton.jit
def with_tail(high, low, value, excess, chosen, groups: tl.constexpr, blocks: tl.constexpr):
    """Add the last elements of a chunk, (groups, 64), to the accumulators that are chosen."""
    h = one_of_four(high, chosen, groups, blocks)
    rest = one_of_four(low, chosen, groups, blocks)
    value = tl.reshape(value, (groups, 4, 16))
    excess = tl.reshape(excess, (groups, 4, 16))
    step = tl.arange(0, 4)[None, :, None]
    for e in tl.static_range(4):
        v = tl.sum(tl.where(step == e, value, 0.0), axis=1)
        h, rest = add_up(h, rest, v, tl.sum(tl.where(step == e, excess, 0.0), axis=1))
    h = tl.broadcast_to(h[:, None, None, :], (groups, blocks, 4, 16))
    rest = tl.broadcast_to(rest[:, None, None, :], (groups, blocks, 4, 16))
    h = tl.reshape(h, (groups, blocks, 64))
    rest = tl.reshape(rest, (groups, blocks, 64))
    return tl.where(chosen, h, high), tl.where(chosen, rest, low)


@triton.jit
def term(x, top, plain, there, constants, lane_scale, tables, softmax: tl.constexpr):
    """Return the parts of the exponentials of (groups, blocks, 64) logits, 0 where they are not counted.

    Where a logarithm is wanted, elements equal to ``top`` are left out.
    """
    offset, magic, least = constants
    values, lacking = tables
    counted = there
    if not softmax:
        left_out = x == top[:, None, None]
        x = tl.where(left_out, float("-inf"), x)
        counted = there & ~(left_out & plain[:, None, None])
    value, excess = exponential(
        x,
        offset[:, None, None],
        magic[:, None, None],
        least[:, None, None],
        lane_scale[0],
        lane_scale[1],
        values,
        lacking,
    )
    return tl.where(counted, value, 0.0), excess


@triton.jit
def reference_of(maximum, scale_high, scale_inverse):
    """Return offset and power of a reference, and its constants in float32; 0 beside what is not finite."""
    finite = tl.where(tl.abs(maximum) < float("inf"), maximum, 0.0).to(tl.float64)
    offset, power = references(finite, scale_high)
    return offset, power, constants_of(offset, power, scale_inverse)


@triton.jit
def merged(scale_high, scale_low, a, b, softmax: tl.constexpr):
    """Join two neighbouring parts of rows."""
    first = a[0] >= b[0]
    big = chosen_part(first, a, b)
    small = chosen_part(first, b, a)
    if softmax:
        f_high, f_low = ratio(scale_high, scale_low, small[2], big[2], small[3] - big[3])
        s_high, s_low = scale_total(small[4], small[5], f_high, f_low)
    else:
        f_high, f_low = ratio(scale_high, scale_low, small[0], big[0], double(300.0))
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
def part_of_rows(part, at, rows: tl.constexpr, chunks: tl.constexpr):
    """Return the part of chunk ``at`` of each row: (rows * chunks,) to (rows,), or to numbers for one row."""
    out = ()
    for i in tl.static_range(6):
        if rows == 1:
            out = out + (tl.sum(tl.where(tl.arange(0, chunks) == at, part[i], 0.0), axis=0),)
        else:
            out = out + (part[i],)
    return out


@triton.jit
def nothing_known(rows: tl.constexpr):
    """Return the part that is no element."""
    if rows == 1:
        zero = double(0.0)
    else:
        zero = tl.zeros((rows,), tl.float64)
    return zero + float("-inf"), zero + float("inf"), zero, zero, zero, zero
