"""The filters of a draw, on the tokens that are left of one row: in memory, in ascending order.

``kept`` holds pointers to scores, tokens and masses. What stays is moved to the front: all loads of a tile
precede its stores, since the places of these are a sum over the tile. What decides is a comparison of scores
or a sum of whole numbers, so neither depends on the order of the work.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .draw_numbers import decided_exp, decided_log
from .draw_scores import as_order, mass_of, middle_of, offset_from, order_of, whole_units

FEW = tl.constexpr(256)  # up to this number, tokens are compared in pairs


@triton.jit
def put(kept, x, token, stays, filled):
    """Append the tokens that stay after the first ``filled``; return their new number."""
    place = filled + tl.cumsum(stays.to(tl.int32), axis=0) - 1
    tl.store(kept[0] + place, x, mask=stays)
    tl.store(kept[1] + place, token, mask=stays)
    return filled + tl.sum(stays.to(tl.int32), axis=0)


@triton.jit
def load_kept(kept, k, there):
    """Load scores and tokens; missing ones have the score -inf."""
    return tl.load(kept[0] + k, mask=there, other=float("-inf")), tl.load(kept[1] + k, mask=there, other=0)


@triton.jit
def order_of_kth(pointer, count, k, low, high, wide: tl.constexpr, tile: tl.constexpr):
    """Return an order between ``low`` and ``high`` that the k largest scores, and their equals, reach."""
    place = tl.arange(0, tile)
    while low < high:
        middle = middle_of(low, high)
        bound = as_order(middle, wide)
        reach = tl.zeros((tile,), tl.int32)
        for start in range(0, count, tile):
            there = start + place < count
            x = tl.load(pointer + (start + place), mask=there, other=float("-inf"))
            reach += (there & (order_of(x, wide) >= bound)).to(tl.int32)
        number = tl.sum(reach, axis=0)
        low = tl.where(number >= k, middle, low)
        high = tl.where(number == k, middle, tl.where(number > k, high, middle - 1))
    return low


@triton.jit
def _few_before(kept, count, weighed: tl.constexpr, wide: tl.constexpr):
    """Return of up to `FEW` tokens how many have a higher score, or the mass of all that come before it.

    Before a token, in descending order, come higher scores, and equal ones with higher numbers.
    """
    place = tl.arange(0, FEW)
    other = tl.arange(0, 32)
    x = tl.load(kept[0] + place, mask=place < count, other=float("-inf"))
    order = order_of(x, wide)[:, None]
    before = tl.zeros((FEW,), tl.int64)
    for start in range(0, count, 32):
        at = start + other
        y = order_of(tl.load(kept[0] + at, mask=at < count, other=float("-inf")), wide)[None, :]
        if weighed:
            mass = tl.load(kept[2] + at, mask=at < count, other=0)[None, :]
            comes = (y > order) | ((y == order) & (at[None, :] > place[:, None]))
            before += tl.sum(tl.where(comes, mass, 0), axis=1)
        else:
            before += tl.sum(((y > order) & (at < count)[None, :]).to(tl.int32), axis=1)
    return x, before


@triton.jit
def _put_few(kept, count, x, stays):
    """Keep some of up to `FEW` tokens; return how many."""
    place = tl.arange(0, FEW)
    there = place < count
    token = tl.load(kept[1] + place, mask=there, other=0)
    filled = put(kept, x, token, there & stays, count * 0)
    tl.debug_barrier()
    return filled


@triton.jit
def keep_top_k(kept, count, k, largest, smallest, wide: tl.constexpr, tile: tl.constexpr):
    """Keep the k largest scores and all equal to the k-th; no score is below ``smallest``."""
    if (k < count.to(tl.float64)) & (count <= FEW):
        x, number = _few_before(kept, count, False, wide)
        count = _put_few(kept, count, x, number.to(tl.float64) < k)
    elif k < count.to(tl.float64):
        low, high = order_of(smallest, wide).to(tl.int64), order_of(largest, wide).to(tl.int64)
        cut = order_of_kth(kept[0], count, k.to(tl.int32), low, high, wide, tile)
        cut = as_order(cut, wide)
        place = tl.arange(0, tile)
        filled = count * 0
        for start in range(0, count, tile):
            there = start + place < count
            x, token = load_kept(kept, start + place, there)
            filled = put(kept, x, token, there & (order_of(x, wide) >= cut), filled)
        count = filled
        tl.debug_barrier()
    return count


@triton.jit
def bound_of(weight, largest, temperature):
    """Return a score below which the exponential is certainly less than ``weight``."""
    score = largest + temperature * (decided_log(weight) - double(1e-6))
    return score - tl.abs(score) * double(1e-6)


@triton.jit
def keep_min_p(kept, count, p, temperature, largest, tile: tl.constexpr):
    """Keep tokens at least p times as probable as the most probable one."""
    if p >= 1e-300:
        top = largest / temperature
        place = tl.arange(0, tile)
        filled = count * 0
        for start in range(0, count, tile):
            there = start + place < count
            x, token = load_kept(kept, start + place, there)
            weight = decided_exp(offset_from(x, temperature, top))
            filled = put(kept, x, token, there & (weight >= p), filled)
        count = filled
        tl.debug_barrier()
    return count


@triton.jit
def stored_masses(kept, count, temperature, top, unit, tile: tl.constexpr):
    """Store the masses of the remaining tokens; return their sum and the smallest score."""
    place = tl.arange(0, tile)
    total = tl.zeros((tile,), tl.int64)
    least = tl.full((tile,), float("inf"), kept[0].dtype.element_ty)
    for start in range(0, count, tile):
        there = start + place < count
        x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
        mass = mass_of(x, temperature, top, unit)
        tl.store(kept[2] + (start + place), mass, mask=there)
        total += mass
        least = tl.where(there & (x < least), x, least)
    tl.debug_barrier()
    return tl.sum(total, axis=0), tl.min(least, axis=0)


@triton.jit
def nucleus_keeps(before, total, excluded):
    """Return whether a token stays in top-p if the tokens before it, in descending order, have this mass."""
    return (before == 0) | ((total - before).to(tl.float64) > excluded)


@triton.jit
def _mass_above(kept, count, order, wide: tl.constexpr, tile: tl.constexpr):
    """Return the mass of the scores above an order."""
    place = tl.arange(0, tile)
    above = tl.zeros((tile,), tl.int64)
    order = as_order(order, wide)
    for start in range(0, count, tile):
        there = start + place < count
        x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
        mass = tl.load(kept[2] + (start + place), mask=there, other=0)
        above += tl.where(order_of(x, wide) > order, mass, 0)
    return tl.sum(above, axis=0)


@triton.jit
def _equals_that_stay(above, mass, equals, total, excluded):
    """Return how many of ``equals`` tokens of one mass stay; the first does."""
    low, high = equals * 0 + 1, equals
    while low < high:
        middle = middle_of(low, high)
        stays = nucleus_keeps(above + (middle - 1) * mass, total, excluded)
        low = tl.where(stays, middle, low)
        high = tl.where(stays, high, middle - 1)
    return low


@triton.jit
def _keep_largest(kept, count, total, excluded, largest, smallest, wide: tl.constexpr, tile: tl.constexpr):
    """Keep the nucleus of any number of tokens: find its smallest score, then how many equal to it stay."""
    low, high = order_of(smallest, wide).to(tl.int64), order_of(largest, wide).to(tl.int64)
    while low < high:
        middle = (low & high) + ((low ^ high) >> 1)
        stays = nucleus_keeps(_mass_above(kept, count, middle, wide, tile), total, excluded)
        high = tl.where(stays, middle, high)
        low = tl.where(stays, low, middle + 1)
    cut = as_order(low, wide)
    place = tl.arange(0, tile)
    above = tl.zeros((tile,), tl.int64)
    equals = tl.zeros((tile,), tl.int64)
    mass = tl.zeros((tile,), tl.int64)
    for start in range(0, count, tile):
        there = start + place < count
        x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
        one = tl.load(kept[2] + (start + place), mask=there, other=0)
        order = order_of(x, wide)
        above += tl.where(order > cut, one, 0)
        equals += (there & (order == cut)).to(tl.int64)
        mass = tl.where(there & (order == cut), one, mass)
    number = tl.sum(equals, axis=0)
    stay = _equals_that_stay(tl.sum(above, axis=0), tl.max(mass, axis=0), number, total, excluded)
    first = (number - stay).to(tl.int32)
    filled = count * 0
    seen = count * 0
    for start in range(0, count, tile):
        there = start + place < count
        x, token = load_kept(kept, start + place, there)
        order = order_of(x, wide)
        equal = (there & (order == cut)).to(tl.int32)
        rank = seen + tl.cumsum(equal, axis=0) - 1
        filled = put(kept, x, token, there & ((order > cut) | ((equal == 1) & (rank >= first))), filled)
        seen += tl.sum(equal, axis=0)
    tl.debug_barrier()
    return filled


@triton.jit
def keep_nucleus(kept, count, p, total, largest, smallest, wide: tl.constexpr, tile: tl.constexpr):
    """Keep the fewest largest scores with mass p of the total; of equal ones, the higher numbers."""
    excluded = (1.0 - p) * total.to(tl.float64)
    if count <= FEW:
        x, before = _few_before(kept, count, True, wide)
        count = _put_few(kept, count, x, nucleus_keeps(before, total, excluded))
    else:
        count = _keep_largest(kept, count, total, excluded, largest, smallest, wide, tile)
    return count


@triton.jit
def _distance(x, mean, temperature, top):
    """Return the bits of how far a score is from the mean; they have the order of the distances."""
    return tl.abs(mean - offset_from(x, temperature, top)).to(tl.int64, bitcast=True)


@triton.jit
def keep_typical_p(kept, count, p, temperature, largest, unit, tile: tl.constexpr):
    """Keep the tokens with mass p whose surprise is nearest to the entropy; return the largest score too."""
    if p < 1.0:
        top = largest / temperature
        total, smallest = stored_masses(kept, count, temperature, top, unit, tile)
        place = tl.arange(0, tile)
        below = tl.zeros((tile,), tl.int64)
        for start in range(0, count, tile):
            there = start + place < count
            x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
            offset = offset_from(x, temperature, top)
            weight = decided_exp(offset)
            below += whole_units(weight * tl.where(weight > 0.0, offset, 0.0), unit)
        mean = tl.sum(below, axis=0).to(tl.float64) / total.to(tl.float64)
        wanted = p * total.to(tl.float64)
        low = total * 0
        high = (mean * 0.0 + float("inf")).to(tl.int64, bitcast=True)
        while low < high:
            middle = middle_of(low, high)
            nearer = tl.zeros((tile,), tl.int64)
            for start in range(0, count, tile):
                there = start + place < count
                x = tl.load(kept[0] + (start + place), mask=there, other=float("-inf"))
                mass = tl.load(kept[2] + (start + place), mask=there, other=0)
                nearer += tl.where(_distance(x, mean, temperature, top) < middle, mass, 0)
            before = tl.sum(nearer, axis=0)
            stays = (before == 0) | (before.to(tl.float64) < wanted)
            low = tl.where(stays, middle, low)
            high = tl.where(stays, high, middle - 1)
        filled = count * 0
        most = tl.full((tile,), float("-inf"), tl.float64)
        for start in range(0, count, tile):
            there = start + place < count
            x, token = load_kept(kept, start + place, there)
            stays = there & (_distance(x, mean, temperature, top) <= low)
            most = tl.maximum(most, tl.where(stays, x.to(tl.float64), float("-inf")))
            filled = put(kept, x, token, stays, filled)
        count = filled
        largest = tl.max(most, axis=0)
        tl.debug_barrier()
    return count, largest


@triton.jit
def keep_top_n_sigma(kept, count, n, temperature, largest, unit, tile: tl.constexpr):
    """Keep scores within n standard deviations of the largest, in units of the range."""
    place = tl.arange(0, tile)
    left = count * 0
    least = tl.full((tile,), float("inf"), tl.float64)
    for start in range(0, count, tile):
        there = start + place < count
        x, token = load_kept(kept, start + place, there)
        finite = there & (x > float("-inf"))
        least = tl.where(finite, tl.minimum(least, x.to(tl.float64)), least)
        left = put(kept, x, token, finite, left)
    tl.debug_barrier()
    top = 0.5 * (largest / temperature)
    span = top - 0.5 * (tl.min(least, axis=0) / temperature)
    span = tl.where(span > 0.0, span, 1.0)
    number = left.to(tl.float64)
    total = tl.zeros((tile,), tl.int64)
    for start in range(0, left, tile):
        there = start + place < left
        x = tl.load(kept[0] + (start + place), mask=there, other=0.0)
        distance = (top - 0.5 * (x.to(tl.float64) / temperature)) / span
        total += tl.where(there, whole_units(distance, unit), 0)
    mean = tl.sum(total, axis=0).to(tl.float64) * (1.0 / unit) / number
    total = tl.zeros((tile,), tl.int64)
    for start in range(0, left, tile):
        there = start + place < left
        x = tl.load(kept[0] + (start + place), mask=there, other=0.0)
        distance = (top - 0.5 * (x.to(tl.float64) / temperature)) / span
        total += tl.where(there, whole_units((distance - mean) * (distance - mean), unit), 0)
    farthest = n * tl.sqrt(tl.sum(total, axis=0).to(tl.float64) * (1.0 / unit) / number)
    filled = count * 0
    for start in range(0, left, tile):
        there = start + place < left
        x, token = load_kept(kept, start + place, there)
        distance = (top - 0.5 * (x.to(tl.float64) / temperature)) / span
        filled = put(kept, x, token, there & (distance <= farthest), filled)
    tl.debug_barrier()
    return filled
