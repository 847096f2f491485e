"""The sums over classes that the loss of a row is made of, as integers that the ranks add.

A confident row loses no digit, because its largest exponential is never added to the small ones, on any rank.
Nor does a sum of distances M - x to the largest logit, which are never negative.
"""

import torch
from torch import Tensor

from ._exponentials import exp_in_place, exponentials
from ._fixed_point import MOST_SHORT_CLASSES, ONE, SHORT_TWO, THREE, TWO, Digits, carried, sum_digits
from ._largest import LOWER_HALF
from ._packing import Layout, bits_of
from ._pairs import Pair, power_of_two, times_power, two_product, two_sum
from ._row_scale import SCALE_BITS, Scale, even_exponent, finite
from ._shards import Shard, some, vocabulary_of

MASS_UNIT = 2.0**17
_MOST_MASS, _MASS_BITS = 7.0, 20  # of a shard
_LEAST_BITS = 12  # of the number of classes: few classes have the places of so many
_OF_LOGITS = {"others", "moment", "even", "target"}
MOMENT_BOUND = 11  # terms of the entropy are below 2^11


def is_short(shard: Shard, classes: int) -> bool:
    """Return True if one digit is enough for a sum that is at least half the unit of its digits."""
    return not shard.wide and classes <= MOST_SHORT_CLASSES


def class_bits(classes: int) -> int:
    """Return the bits that a sum over so many classes has more than one of its numbers."""
    return max(_LEAST_BITS, classes.bit_length())


def one_digit(classes: int) -> Digits:
    """Return a digit for sums over so many classes that are rounded to float32."""
    return Digits(min(ONE.width, 26 + class_bits(classes)), 1)


def second_slots(shard: Shard, classes: int) -> dict[str, Digits]:
    """Return the names of the sums over so many classes that the ranks add, with their digits.

    A word that one rank alone writes, and a count, have one. Terms that follow need no sums of distances.
    """
    short = is_short(shard, classes)
    one, two = (one_digit(classes), SHORT_TWO) if short else (TWO, TWO)
    sizes = {"others": one}
    if shard.with_entropy:
        sizes["moment"] = TWO
    if shard.label is not None:
        sizes["chosen"] = ONE
        if shard.weight is not None:
            sizes["chosen_weight"] = ONE
    if shard.options.label_smoothing:
        if shard.where is not None:
            sizes["class_count"] = ONE
            if shard.weight is not None and not shard.needs_terms:
                sizes["even_weight"] = one
        if not shard.needs_terms:
            # the largest distance has the weight 1 if there are no others
            sizes["even"] = one if shard.weight is None else two
    if shard.distribution is not None:
        if shard.weight is not None:
            sizes["mass"] = ONE
        if shard.weight is None or shard.options.z_loss or not shard.needs_terms:
            sizes["target_weight"] = one
        if not shard.needs_terms:
            # coefficients may be small where distances are large: float64 needs one more digit
            sizes["target"] = THREE if shard.wide else two
    return sizes


def layout_of(shard: Shard, classes: int, ranks: int) -> Layout:
    """Return the places of the sums over so many classes, and of the scale but for the largest logit."""
    spare = class_bits(classes)
    bits = {name: bits_of(digits, spare) for name, digits in second_slots(shard, classes).items()}
    given = {
        "chosen": 64 if shard.wide else 32,
        "chosen_weight": 64,
        "class_count": spare,
        "mass": _MASS_BITS + (ranks - 1).bit_length(),
    }
    bits |= {name: (size,) for name, size in given.items() if name in bits}
    scale = {"shift": True, "reach": shard.has_coefficients, "even_exponent": shard.has_row_weights}
    scale["target_exponent"] = shard.distribution is not None
    return Layout(bits | {name: SCALE_BITS[name] for name, used in scale.items() if used}, ranks)


def slots_in_all(sizes: dict[str, Digits]) -> int:
    """Return the number of words per row of some sums."""
    return sum(digits.words for digits in sizes.values())


def sums_of(shard: Shard, rows: slice, scale: Scale) -> Tensor:
    """Return the words of a group of rows that the ranks add (slots, rows)."""
    sizes = second_slots(shard, vocabulary_of(shard).classes)
    size = rows.stop - rows.start
    words = torch.zeros((slots_in_all(sizes), size), dtype=torch.int64, device=shard.device)
    if not shard.classes or not size:
        return words
    found = by_name(sizes, words)
    top = finite(scale.maximum.double()).unsqueeze(1)
    power = power_of_two(scale.shift.double().clamp(min=0.0) + sizes["others"].width).unsqueeze(1)
    of_even = even_exponent(shard, scale)
    zero = top.new_zeros(())
    owned = place = chosen = None
    if shard.label is not None:
        owned, place = shard.owned(rows)
        place, chosen = place.unsqueeze(1), torch.empty(size, dtype=top.dtype, device=shard.device)
    for block, at in shard.blocks(rows):
        x = shard.visible(block)
        if chosen is not None and place is not None:
            chosen[at] = x.gather(1, place[at]).squeeze(1).double()
        here = some(scale, at)
        distance = two_sum(x, -top[at]) if shard.wide else Pair(below(shard, x, top[at]), zero)
        if shard.options.label_smoothing:
            even = shard.even_coefficients(block)
            if "even_weight" in sizes:
                assert even is not None
                found["even_weight"][:, at] = _weights(even, of_even[at], sizes["even_weight"])
            if "even" in sizes:
                found["even"][:, at] = _distances(shard, even, of_even[at], distance, here, sizes["even"])
        if shard.distribution is not None:
            target = shard.target_coefficients(block)
            assert here.target is not None
            if "target_weight" in sizes:
                found["target_weight"][:, at] = _weights(target, here.target, sizes["target_weight"])
            if "target" in sizes:
                sums = _distances(shard, target, here.target, distance, here, sizes["target"])
                found["target"][:, at] = sums
            if "mass" in sizes:
                mass = shard.distribution[block].double().sum(1).clamp(max=_MOST_MASS)
                found["mass"][:, at] = (mass * MASS_UNIT).round().long().unsqueeze(0)
        if shard.wide:
            for name, digits in _wide_exponential_sums(shard, distance, here, sizes).items():
                found[name][:, at] = digits
        else:
            for name, digits in _exponential_sums(shard, distance.high, power[at], sizes).items():
                found[name][:, at] = digits
    if chosen is not None and owned is not None and place is not None:
        _write_label(shard, found, chosen, owned, place.squeeze(1))
    if shard.options.label_smoothing and shard.where is not None:
        found["class_count"][0] = shard.where[rows].sum(1)
    regular = scale.maximum.isfinite()
    for name in _OF_LOGITS & found.keys():  # those of other rows may be anything
        found[name].masked_fill_(~regular, 0)
    return words


def packed_sums(sizes: dict[str, Digits], words: Tensor) -> dict[str, Tensor]:
    """Return the words of each sum, with its digits carried."""
    return {name: carried(sums, sizes[name]) for name, sums in by_name(sizes, words).items()}


def by_name(sizes: dict[str, Digits], words: Tensor) -> dict[str, Tensor]:
    """Return the words of each sum."""
    parts = words.split([digits.words for digits in sizes.values()])
    return dict(zip(sizes, parts, strict=True))


def below(shard: Shard, x: Tensor, top: Tensor) -> Tensor:
    """Return the float64 difference of logits and those of a column, in memory that the next block writes."""
    return shard.room.take("below", x, torch.float64).copy_(x).sub_(top)


def _write_label(
    shard: Shard, found: dict[str, Tensor], chosen: Tensor, owned: Tensor, place: Tensor
) -> None:
    """Write the label's logit and weight; all but one rank write 0."""
    chosen = torch.where(owned, chosen, 0.0)
    if shard.wide:
        found["chosen"][0] = chosen.view(torch.int64)
    else:
        found["chosen"][0] = chosen.float().view(torch.int32).long() & LOWER_HALF
    if shard.weight is not None:
        found["chosen_weight"][0] = torch.where(owned, shard.weight[place], 0.0).view(torch.int64)


def _exponential_sums(
    shard: Shard, distance: Tensor, power: Tensor, sizes: dict[str, Digits]
) -> dict[str, Tensor]:
    """Sum exp(x - M) times a power of two of each row; the largest counts as 1. Overwrites ``distance``."""
    found, digits = {}, sizes["others"]
    moment = distance.neg() if shard.with_entropy else None
    scaled = exp_in_place(distance).mul_(power)
    if moment is not None:
        unit = 2.0 ** (sizes["moment"].width - digits.width - MOMENT_BOUND)
        terms = torch.where(scaled == 0, 0.0, moment.mul_(scaled)).mul_(unit)
        found["moment"] = sum_digits(terms, sizes["moment"])
    whole = shard.room.take("whole", scaled, torch.float64) if digits.words > 1 else None
    return found | {"others": sum_digits(scaled.clamp_(max=digits.unit), digits, whole=whole)}


def _wide_exponential_sums(
    shard: Shard, distance: Pair, scale: Scale, sizes: dict[str, Digits]
) -> dict[str, Tensor]:
    """Sum exp(x - M) of float64 logits in units of 2**-shift; the largest counts as 1."""
    found, digits = {}, sizes["others"]
    power = exponentials(distance)
    exponent = power.exponent + scale.shift.double().clamp(min=0.0).unsqueeze(1)
    high, low = times_power(power.value.high, exponent + digits.width), times_power(power.value.low, exponent)
    if shard.with_entropy:
        product = two_product(high, -distance.high)
        small = (product.low - high * distance.low) / digits.unit - low * distance.high
        scaled = torch.nan_to_num(product.high, nan=0.0) * 2.0**-MOMENT_BOUND
        small = torch.nan_to_num(small, nan=0.0) * 2.0**-MOMENT_BOUND
        found["moment"] = sum_digits(scaled, sizes["moment"], small)
    return found | {"others": sum_digits(high.clamp_(max=digits.unit), digits, low)}


def _weights(coefficients: Tensor, exponent: Tensor, digits: Digits) -> Tensor:
    return sum_digits(times_power(coefficients, (digits.width - exponent.double()).unsqueeze(1)), digits)


def _distances(
    shard: Shard, coefficients: Tensor | None, exponent: Tensor, distance: Pair, scale: Scale, digits: Digits
) -> Tensor:
    """Sum a (M - x), in units of the largest that it may be."""
    assert scale.reach is not None
    unit = (digits.width - scale.reach.double()).unsqueeze(1)
    high, low = -times_power(distance.high, unit), None
    if shard.wide:
        low = -times_power(distance.low, unit)
    if coefficients is not None:
        a = times_power(coefficients, -exponent.double().unsqueeze(1))
        if low is not None:
            high, rest = two_product(a, high)
            low = a * low + rest
        else:
            high = a * high
    usable = high.isfinite()  # what is not stands for a row that is not finite, or for 0 times -inf
    high = torch.where(usable, high, 0.0)
    return sum_digits(high, digits, None if low is None else torch.where(usable, low, 0.0) / digits.unit)
