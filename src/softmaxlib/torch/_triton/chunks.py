"""What is known of some chunks of rows, and how chunks are joined to rows.

``tiles`` and ``tail`` hold a row that stays in the registers. They are empty where it is read each time.
"""

import triton
import triton.language as tl

from .arithmetic import PLAIN_RANGE, START, double, ratio, scale_total, two_sum
from .row_sums import (
    add_up,
    chosen_part,
    flushed,
    joined_lanes,
    known,
    load_logits,
    merged,
    part_of_rows,
    reference_of,
    term,
    with_tail,
)

CHUNK = tl.constexpr(4096)


@triton.jit
def tile_there(length, block, j):
    """Return which of (groups, blocks, 64) elements of step ``j`` there are: all of the last axis or none."""
    return block * 512 + j * 64 + 64 <= length[:, None, None]


@triton.jit
def load_tile(source, start, length, block, j, masked: tl.constexpr):
    """Load step ``j`` of blocks: (groups, blocks, 64) logits."""
    inside = block * 512 + j * 64 + tl.arange(0, 64)[None, None, :]
    return load_logits(
        source, start[:, None, None] + inside, tile_there(length, block, j) & (inside >= 0), masked
    )


@triton.jit
def load_tail(source, start, length, masked: tl.constexpr):
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
    """Return each group's largest, the largest of its others, its smallest, and whether it has a NaN."""
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
    source, start, length, first, ends_here, is_last, top, plain, constants, lane_scale, tables, wide, ties,
    tiles, tail,
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
            x = load_tile(source, start, length, block, j, masked)
        there = tile_there(length, block, j)
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
                last, in_tail = tail
            else:
                last, in_tail = load_tail(source, start, length, masked)
            lane = tl.arange(0, 64)[None, None, :]
            vectors = (length // 64 * 64)[:, None, None] + lane // 16 * 16 < length[:, None, None]
            vectors = tl.where(plain[:, None, None], in_tail, vectors)
            of_tail, excess_of_tail = term(last, top, plain, vectors, constants, lane_scale, tables, softmax)
            last_block = (tl.maximum(length // 64 - 1, 0) // 8)[:, None, None]
            chosen = (block == last_block) & is_last[:, None, None] & (lane < 16)
            high, low = with_tail(high, low, of_tail, excess_of_tail, chosen, groups, blocks)
            if not softmax:
                ties += tl.where(block == last_block, _equal_to(last, top, in_tail), 0)
    return flushed(wide, high, low, groups, blocks), ties, values, excesses


@triton.jit
def part_of_chunks(
    s, source, row_there, classes, scale, lane_scale, tables, tiles, tail,
    softmax: tl.constexpr, masked: tl.constexpr, kept: tl.constexpr, has_tail: tl.constexpr,
    rows: tl.constexpr, chunks: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return what is known of chunks from ``s * chunks`` on, and the parts of their exponentials."""
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
            there = tile_there(length, tl.arange(0, blocks)[None, :, None], j)
            extremes = _seen(extremes, tiles[j], there, softmax)
    else:
        for f in range(0, steps):
            block = f * blocks + tl.arange(0, blocks)[None, :, None]
            for j in tl.static_range(8):
                x = load_tile(source, start, length, block, j, masked)
                extremes = _seen(extremes, x, tile_there(length, block, j), softmax)
    if has_tail:
        if kept:
            x, there = tail
        else:
            x, there = load_tail(source, start, length, masked)
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
    values = ()
    excesses = ()
    if kept:
        wide, ties, values, excesses = _summed_blocks(
            source, start, length, 0, True, is_last, top, plain, constants, lane_scale, tables, wide, ties,
            tiles, tail,
            softmax, masked, kept, has_tail, groups, blocks,
        )  # fmt: skip
    else:
        last_block = tl.maximum((classes - (number - 1) * CHUNK) // 64 - 1, 0) // 8
        for f in range(0, steps):
            ends_here = (
                ((f + 1) * blocks > last_block) & (f * blocks <= last_block) & (s == (number - 1) // chunks)
            )
            wide, ties, no_values, no_excesses = _summed_blocks(
                source, start, length, f * blocks, ends_here, is_last, top, plain, constants, lane_scale,
                tables, wide, ties, (), (), softmax, masked, kept, has_tail, groups, blocks,
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
    if rows == 1:
        wrong = tl.max(wrong, axis=0)
    return part, wrong, values, excesses


@triton.jit
def joined_chunks(
    s, state, segment, part, number, scale,
    softmax: tl.constexpr, rows: tl.constexpr, chunks: tl.constexpr, per_segment: tl.constexpr,
):  # fmt: skip
    """Join chunks to what is known of each row: within a segment first, then segment by segment."""
    for c in tl.static_range(chunks):
        at = s * chunks + c
        one = part_of_rows(part, c, rows, chunks)
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
