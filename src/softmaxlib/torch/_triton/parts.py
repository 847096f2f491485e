"""Parts of rows in the memory of the device: what one program leaves to others, in Triton."""

import triton
import triton.language as tl

from .arithmetic import double
from .doubles import add_totals, ratio, scale_total
from .row_sums import joined, nothing_known

PART = tl.constexpr(10)  # numbers stored per chunk


@triton.jit
def store_part(parts, at, part, wrong):
    """Store the part of a chunk, and whether the chunk contains NaN."""
    for i in tl.static_range(6):
        tl.store(parts + (at * PART + i), part[i])
    tl.store(parts + (at * PART + 6), wrong.to(tl.float64))


@triton.jit
def _joined_few_parts(parts, number, scale):
    """Join up to 64 stored chunks of a row in order.

    What `merged` multiplies by depends on the largest elements alone, so it is found for all at once.
    """
    place = tl.arange(0, 64)
    top = tl.load(parts + place * PART, mask=place < number, other=float("-inf"))
    before = tl.max(tl.where(place[None, :] < place[:, None], top[None, :], float("-inf")), axis=1)
    smaller, larger = tl.minimum(before, top), tl.maximum(before, top)
    high, low = ratio(scale[0], scale[1], smaller, larger, double(300.0))
    tl.store(parts + (place * PART + 7), high, mask=place < number)
    tl.store(parts + (place * PART + 8), low, mask=place < number)
    tl.debug_barrier()
    most = double(float("-inf"))
    total = double(0.0)
    rest = double(0.0)
    for c in range(0, number):
        here = parts + c * PART
        one, of_one, rest_of_one = tl.load(here), tl.load(here + 4), tl.load(here + 5)
        first = most >= one
        s_high, s_low = tl.where(first, of_one, total), tl.where(first, rest_of_one, rest)
        total, rest = tl.where(first, total, of_one), tl.where(first, rest, rest_of_one)
        s_high, s_low = add_totals(s_high, s_low, double(1.0), double(0.0))
        s_high, s_low = scale_total(s_high, s_low, tl.load(here + 7), tl.load(here + 8))
        both, lost = add_totals(total, rest, s_high * double(2.0**-300), s_low * double(2.0**-300))
        alone = (tl.minimum(most, one) == float("-inf")) | (tl.maximum(most, one) == float("inf"))
        total, rest = tl.where(alone, total, both), tl.where(alone, rest, lost)
        most = tl.maximum(most, one)
    return most, most, most, most, total, rest


@triton.jit
def joined_parts(parts, number, scale, per_segment, softmax: tl.constexpr, segmented: tl.constexpr):
    """Join the stored chunks of a row in order; the total leaves out the largest element, or ``softmax``."""
    state = nothing_known(1)
    if softmax or segmented:
        segment = nothing_known(1)
        for c in range(0, number):
            one = ()
            for i in tl.static_range(6):
                one = one + (tl.load(parts + (c * PART + i)),)
            state, segment = joined(c, state, segment, one, number, scale, per_segment, softmax, 1, segmented)
    else:
        state = _joined_few_parts(parts, number, scale)
    return state
