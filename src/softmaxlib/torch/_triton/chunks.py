"""Chunks of 4096 elements of rows: what is read, how large it is, and what its exponentials sum to.

``tiles`` are eight blocks of logits, of which the first ``whole`` are known to be there in full. ``tail``
holds the logits after the last whole 64. It is empty where there are none.
"""

import triton
import triton.language as tl

from .arithmetic import PLAIN_RANGE, START, double, exponential
from .doubles import ratio, scale_total, two_sum
from .row_sums import (
    add_up,
    emptied,
    is_for_all,
    is_for_any,
    joined,
    larger,
    largest_and_smallest,
    load_part,
    nothing_known,
    of_rows,
    places,
    reference_of,
    settled,
    spread,
    spread_all,
    two_largest_and_smallest,
)

CHUNK = tl.constexpr(4096)
# what the cache is told of logits: they are read once, will be read again, or are read for the last time
READ_ONCE = tl.constexpr("")
READ_AGAIN = tl.constexpr("evict_last")
READ_LAST = tl.constexpr("evict_first")


@triton.jit
def inside_block(blocks: tl.constexpr):
    """Return the numbers of the first block's elements within their chunk: (1, blocks, 64).

    Those of block j lie 64 j after them, which an address has as a constant.
    """
    return tl.arange(0, blocks)[None, :, None] * 512 + tl.arange(0, 64)[None, None, :]


@triton.jit
def element_there(j, length, blocks: tl.constexpr):
    """Return which elements of a block there are, all 64 of a vector or none: (1, blocks, 64)."""
    vectors = tl.arange(0, blocks)[None, :, None] * 512 + j * 64 + 64 <= length
    return vectors & (tl.arange(0, 64)[None, None, :] >= 0)


@triton.jit
def inside_tail(length):
    """Return the numbers of the elements after the last whole 64: (1, 1, 64).

    The step between them is hidden from Triton, which would give a few threads several neighbours each.
    """
    step = tl.where(length > 0, 1, 0)
    return length // 64 * 64 + tl.arange(0, 64)[None, None, :] * step


@triton.jit
def load_chunk(
    source, start, length,
    repeats: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, blocks: tl.constexpr, policy: tl.constexpr,
):  # fmt: skip
    """Load a chunk of rows. In the place of what is not there stands a row's first element, or -inf."""
    filler = float("-inf")
    if repeats and whole < 8:
        filler = tl.load(places(source[0], source[1], start, length * 0, source[2], source[3], in_a_row))
    tiles = ()
    for j in tl.static_range(8):
        there = None
        other = None
        if j >= whole:
            there = element_there(j, length, blocks)
            other = filler
        tile = load_part(source, start + j * 64, inside_block(blocks), there, other, masked, in_a_row, policy)
        tiles = tiles + (tile,)
    tail = ()
    if has_tail:
        inside = inside_tail(length)
        tail = (load_part(source, start, inside, inside < length, filler, masked, in_a_row, policy),)
    return tiles, tail


@triton.jit
def _sum_of_rows(x, rows: tl.constexpr):
    """Add up whole numbers of blocks."""
    return of_rows(tl.sum(tl.sum(x, axis=2), axis=1), rows)


@triton.jit
def extremes(
    tiles, tail, length,
    repeats: tl.constexpr, whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return each row's largest, second largest and smallest element; the largest is NaN where one is NaN.

    The second largest is wanted where ``repeats`` is False, and the largest elsewhere.
    """
    most = tiles[0]
    least = tiles[0]
    if not repeats:
        second = tl.full((rows, blocks, 64), float("-inf"), tl.float32)
        if whole == 0:
            least = tl.where(element_there(0, length, blocks), least, float("inf"))
    for j in tl.static_range(1, 8):
        x = tiles[j]
        if not repeats:
            second = tl.maximum(second, tl.minimum(most, x))
        most = larger(most, x)
        if not repeats and j >= whole:
            x = tl.where(element_there(j, length, blocks), x, float("inf"))
        least = tl.minimum(least, x)
    if repeats:
        top, least = tl.reduce((most, least), 2, largest_and_smallest)
        top, least = tl.reduce((top, least), 1, largest_and_smallest)
        if len(tail) > 0:
            t_top, t_least = tl.reduce((tail[0], tail[0]), 2, largest_and_smallest)
            t_top, t_least = tl.reduce((t_top, t_least), 1, largest_and_smallest)
            top, least = largest_and_smallest(top, least, t_top, t_least)
        runner_up = top
    else:
        top, runner_up, least = tl.reduce((most, second, least), 2, two_largest_and_smallest)
        top, runner_up, least = tl.reduce((top, runner_up, least), 1, two_largest_and_smallest)
        if len(tail) > 0:
            nothing = tl.full((rows, 1, 64), float("-inf"), tl.float32)
            x = tl.where(inside_tail(length) < length, tail[0], float("inf"))
            t_top, t_second, t_least = tl.reduce((tail[0], nothing, x), 2, two_largest_and_smallest)
            t_top, t_second, t_least = tl.reduce((t_top, t_second, t_least), 1, two_largest_and_smallest)
            top, runner_up, least = two_largest_and_smallest(top, runner_up, least, t_top, t_second, t_least)
    top, runner_up, least = of_rows(top, rows), of_rows(runner_up, rows), of_rows(least, rows)
    return top, runner_up, least


@triton.jit
def _term(
    x, there, top, runner_up, is_plain, constants, lane_scale,
    softmax: tl.constexpr, plain: tl.constexpr, full: tl.constexpr,
):  # fmt: skip
    """Return the parts of exponentials, 0 where they are not counted.

    Where a logarithm is wanted, elements equal to ``top`` are left out.
    """
    if softmax:
        value, excess = exponential(x, constants, lane_scale, plain)
        if not full:
            value = tl.where(there, value, 0.0)
    elif plain:
        counted = x != top
        if not full:
            counted = counted & there
            x = tl.where(there, x, runner_up)
        value, excess = exponential(x, constants, lane_scale, True)
        value = tl.where(counted, value, 0.0)
    else:
        left_out = x == top
        value, excess = exponential(tl.where(left_out, float("-inf"), x), constants, lane_scale, False)
        if full:
            value = tl.where(left_out & (is_plain == 1), 0.0, value)
        else:
            value = tl.where(there & ~(left_out & (is_plain == 1)), value, 0.0)
    return value, excess


@triton.jit
def total_of(
    tiles, tail, length, row, lane_scale,
    softmax: tl.constexpr, plain: tl.constexpr, whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return the total of a chunk's exponentials, and their parts.

    ``row`` holds top, runner-up, whether the chunk is plain, and the constants of `exponential`.
    """
    top, runner_up, is_plain, constants = row
    high = tl.full((rows, blocks, 64), START, tl.float32)
    low = tl.zeros((rows, blocks, 64), tl.float32)
    values = ()
    excesses = ()
    for j in tl.static_range(8):
        there = None
        if j >= whole:
            there = element_there(j, length, blocks)
        value, excess = _term(
            tiles[j], there, top, runner_up, is_plain, constants, lane_scale, softmax, plain, j < whole
        )
        high, low = add_up(high, low, value, excess)
        if j % 4 == 3:
            high, low = settled(high, low)
        values = values + (value,)
        excesses = excesses + (excess,)
    terms = ()
    if len(tail) > 0:
        inside = inside_tail(length)
        there = inside < length
        counted = there
        if not plain:
            vectors = inside // 16 * 16 < length
            counted = tl.where(is_plain == 1, there, vectors)
        value, excess = _term(
            tail[0], counted, top, runner_up, is_plain, constants, lane_scale, softmax, plain, False
        )
        terms = (
            tl.broadcast_to(value, (rows, 1, 64)),
            tl.where(counted, excess, 0.0) + tl.zeros((rows, 1, 64), tl.float32),
            tl.maximum(length // 64 - 1, 0) // 8,
        )
    return of_rows(emptied(high, low, terms, rows, blocks), rows), values, excesses, terms


@triton.jit
def total_by_kind(
    tiles, tail, length, row, plain, lane_scale,
    softmax: tl.constexpr, quick: tl.constexpr, whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return the total of a chunk; ``quick``: in the quick way where all its rows are plain."""
    if not quick:
        total = total_of(tiles, tail, length, row, lane_scale, softmax, False, whole, rows, blocks)[0]
    elif is_for_all(plain == 1, rows):
        total = total_of(tiles, tail, length, row, lane_scale, softmax, True, whole, rows, blocks)[0]
    else:
        total = total_of(tiles, tail, length, row, lane_scale, softmax, False, whole, rows, blocks)[0]
    return total


@triton.jit
def _count(tiles, tail, length, top, whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr):
    """Return how many elements are equal to the largest."""
    count = tl.zeros((rows, blocks, 64), tl.int32)
    for j in tl.static_range(8):
        equal = tiles[j] >= top  # nothing is larger; comparisons for equality are not kept until here
        if j >= whole:
            equal = equal & element_there(j, length, blocks)
        count += equal.to(tl.int32)
    total = _sum_of_rows(count, rows)
    if len(tail) > 0:
        equal = (tail[0] == top) & (inside_tail(length) < length)
        total += _sum_of_rows(tl.broadcast_to(equal.to(tl.int32), (rows, 1, 64)), rows)
    return total


@triton.jit
def reference(top, runner_up, least, scale, softmax: tl.constexpr):
    """Return offset and power of a chunk's exponentials, constants in float32, and whether it is plain.

    It is plain (1, else 0) where no offset is taken and all exponentials are within the range of float32.
    """
    relative_to = top
    if not softmax:
        relative_to = runner_up
    offset, power, constants = reference_of(relative_to, scale[0], scale[2])
    top_offset, _, _ = reference_of(top, scale[0], scale[2])
    span = (relative_to.to(tl.float64) - least.to(tl.float64)) * scale[0]
    plain = (offset == 0.0) & (top_offset == 0.0) & (span < PLAIN_RANGE) & (tl.abs(top) < float("inf"))
    return offset, power, constants, plain.to(tl.int32)


@triton.jit
def finished_total(
    total, tiles, tail, length, top, runner_up, offset, power, scale,
    whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return the total of a chunk beside its largest element, in two parts, relative to that element's."""
    rest = total * 0.0
    largest = top.to(tl.float64)
    f_high, f_low = ratio(scale[0], scale[1], offset, largest, power + 300.0)
    total, rest = scale_total(total, rest, f_high, f_low)
    total = total * double(2.0**-362)
    rest = rest * double(2.0**-362)
    tied = (runner_up == top).to(tl.int32)
    if is_for_any(tied, rows):
        equal = _count(tiles, tail, length, spread(top, rows), whole, rows, blocks)
        tied_high, tied_low = two_sum(total, (equal - 1).to(tl.float64))
        tied_high, tied_low = two_sum(tied_high, tied_low + rest)
        total = tl.where(tied == 1, tied_high, total)
        rest = tl.where(tied == 1, tied_low, rest)
    alone = runner_up == float("-inf")
    return tl.where(alone, 0.0, total), tl.where(alone, 0.0, rest)


@triton.jit
def part_of(
    source, start, length, scale, lane_scale,
    softmax: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return what is known of a chunk of rows, and whether it holds NaN."""
    repeats: tl.constexpr = softmax and not masked
    tiles, tail = load_chunk(
        source, start, length, repeats, masked, in_a_row, has_tail, whole, blocks, READ_AGAIN
    )
    return part_of_loaded(tiles, tail, length, scale, lane_scale, softmax, masked, whole, rows, blocks)


@triton.jit
def part_of_loaded(
    tiles, tail, length, scale, lane_scale,
    softmax: tl.constexpr, masked: tl.constexpr, whole: tl.constexpr,
    rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return what is known of a chunk that `load_chunk` has loaded, and whether it holds NaN."""
    repeats: tl.constexpr = softmax and not masked
    top, runner_up, least = extremes(tiles, tail, length, repeats, whole, rows, blocks)
    wrong = top != top
    offset, power, constants, plain = reference(top, runner_up, least, scale, softmax)
    row = spread_all((top, runner_up, plain), rows) + (spread_all(constants, rows),)
    quick: tl.constexpr = not masked and (whole == 8 or blocks < 8)
    total = total_by_kind(tiles, tail, length, row, plain, lane_scale, softmax, quick, whole, rows, blocks)
    rest = total * 0.0
    if not softmax:
        total, rest = finished_total(
            total, tiles, tail, length, top, runner_up, offset, power, scale, whole, rows, blocks
        )
    largest = tl.where(wrong, float("-inf"), top).to(tl.float64)
    return (largest, least.to(tl.float64), offset, power, total, rest), wrong.to(tl.int32)


@triton.jit
def state_of(
    source, classes, scale, lane_scale,
    softmax: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, has_tail: tl.constexpr,
    whole: tl.constexpr, per_segment: tl.constexpr, rows: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Return what is known of rows, and whether they hold NaN; ``whole``: of their last chunk."""
    number = tl.cdiv(classes, CHUNK)
    state = nothing_known(rows)
    segment = nothing_known(rows)
    wrong = (state[2] != 0.0).to(tl.int32)
    if blocks == 8:
        for s in range(0, classes // CHUNK):
            start = tl.zeros((), tl.int64) + s * CHUNK
            part, more_wrong = part_of(
                source, start, start.to(tl.int32) * 0 + CHUNK, scale, lane_scale,
                softmax, masked, in_a_row, False, 8, rows, blocks,
            )  # fmt: skip
            wrong = wrong | more_wrong
            state, segment = joined(
                s, state, segment, part, number, scale, per_segment, softmax, rows, per_segment > 1
            )
    if blocks < 8 or whole < 8:
        start = tl.zeros((), tl.int64) + (number - 1) * CHUNK
        part, more_wrong = part_of(
            source, start, (classes - start).to(tl.int32), scale, lane_scale,
            softmax, masked, in_a_row, has_tail, whole, rows, blocks,
        )  # fmt: skip
        wrong = wrong | more_wrong
        state, segment = joined(
            number - 1, state, segment, part, number, scale, per_segment, softmax, rows, per_segment > 1
        )
    return state, wrong
