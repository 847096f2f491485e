"""The sums over classes that the loss of a row is made of, as integers that the ranks add.

First the ranks agree on the largest and second largest logit of each row. With M the largest, a row's sum of
exp(x - M) over all others is then a number of known size, and is added in fixed point. A confident row loses
no digit, because its largest exponential is never added to the small ones, on any rank. The same holds for
sums of distances M - x, which are never negative.
"""

from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from ._exponentials import exp_in_place, exponentials
from ._fixed_point import UNIT, WIDTH, sum_digits, value_of
from ._largest import NOTHING, keys_of, largest_two, numbers_of, slot_count, slots_of
from ._logarithms import log1p
from ._pairs import Pair, pair_of, power_of_two, times_power, two_product, two_sum
from ._shards import Shard, Vocabulary

INFINITE = torch.iinfo(torch.int16).max  # the reach of a row with a term that is infinite

_MOMENT = 11  # terms of the entropy are below 2^11
_MASS = 2.0**36


class Scale(NamedTuple):
    """Numbers of each row that all ranks know before sums are added."""

    key: Tensor  # of the largest logit, with `NOTHING` in a row without classes
    shift: Tensor  # int16: the second largest exponential is about 2**-shift
    reach: Tensor | None  # int16: distances to the largest logit are below 2**reach
    target: Tensor | None  # int16: coefficients of the target are below 2**target


class Linear(NamedTuple):
    """Sums over classes of coefficients a, and of a (M - x)."""

    weight: Pair
    distance: Pair


class RowSums(NamedTuple):
    """Sums of rows over all classes. Sums that no option needs are None."""

    maximum: Tensor
    regular: Tensor  # whether the largest logit is finite
    exists: Tensor  # whether there is a class
    others: Pair  # the sum of exp(x - M) over all but the largest
    log_total: Pair  # log(1 + others)
    moment: Pair | None  # the sum of (M - x) exp(x - M)
    chosen: Tensor | None  # the label's logit
    chosen_weight: Tensor | None
    class_count: Tensor  # classes that `where` keeps
    even: Linear | None  # for smoothing
    target: Linear | None  # for targets of probabilities
    mass: Tensor | None  # the sum of the target's probabilities


def vocabulary_of(shard: Shard) -> Vocabulary:
    """Return what the ranks have agreed on."""
    assert shard.vocabulary is not None
    return shard.vocabulary


def first_slots(shard: Shard, ranks: int) -> int:
    """Return the number of words per row for which the ranks take maxima."""
    return slot_count(ranks) + 1 + shard.has_coefficients + (shard.distribution is not None)


def second_slots(shard: Shard) -> dict[str, int]:
    """Return the names of the sums that the ranks add, with their words per row."""
    sizes = {"others": 2}
    if shard.with_entropy:
        sizes["moment"] = 2
    if shard.label is not None:
        sizes["chosen"] = 1
        if shard.weight is not None:
            sizes["chosen_weight"] = 1
    if shard.options.label_smoothing:
        if shard.where is not None:
            sizes["class_count"] = 1
            if shard.weight is not None:
                sizes["even_weight"] = 2
        sizes["even"] = 2
    if shard.distribution is not None:
        # coefficients may be small where distances are large: float64 needs one more digit
        sizes |= {"target_weight": 2, "target": 3 if shard.wide else 2}
        if shard.weight is not None:
            sizes["mass"] = 1
    return sizes


def largest_of(shard: Shard, rows: slice, rank: int, ranks: int) -> Tensor:
    """Return the words of some rows for which the ranks take maxima (slots, rows)."""
    size = rows.stop - rows.start
    words = torch.full((first_slots(shard, ranks), size), NOTHING, dtype=torch.int64, device=shard.device)
    if not shard.classes:
        return words
    x = shard.visible(rows)
    rest = shard.room.take("rest", x, x.dtype).copy_(x)
    place = _place_of_largest(rest).unsqueeze(1)
    top = keys_of(rest.gather(1, place).squeeze(1).double())
    next_key = keys_of(rest.scatter_(1, place, -torch.inf).amax(1).double())
    if shard.where is not None:
        exists = shard.where[rows].any(1)
        top, next_key = torch.where(exists, top, NOTHING), torch.where(exists, next_key, NOTHING)
    second = slot_count(ranks)
    words[list(slots_of(ranks)[rank])] = top
    words[second] = next_key
    if not shard.has_coefficients:
        return words
    lowest = torch.full_like(top, torch.inf, dtype=x.dtype)
    if shard.options.label_smoothing:
        even = shard.even_coefficients(rows)
        lowest = (x if even is None else torch.where(even == 0, torch.inf, x)).amin(1)
    if shard.distribution is not None:
        target = shard.target_coefficients(rows)
        lowest = torch.minimum(lowest, torch.where(target == 0, torch.inf, x).amin(1))
        words[second + 2] = keys_of(target.amax(1))
    words[second + 1] = keys_of(-lowest.double())
    return words


def scale_of(shard: Shard, words: Tensor, ranks: int) -> Scale:
    """Return what the maxima over the ranks (slots, rows) say of each row."""
    second = slot_count(ranks)
    key, next_key = largest_two(words[: second + 1])
    maximum, next_largest = numbers_of(key), numbers_of(next_key)
    gap = _finite((maximum - next_largest) / log(2))
    shift = gap.floor().clamp(0.0, 1200.0 if shard.wide else 900.0).to(torch.int16)
    reach = target = None
    if shard.has_coefficients:
        lowest = -numbers_of(words[second + 1])
        reach = _exponent(maximum - lowest)
        # a class of logit -inf has a coefficient: the loss is infinite
        reach = torch.where((lowest == -torch.inf) & maximum.isfinite(), INFINITE, reach)
    if shard.distribution is not None:
        target = _exponent(numbers_of(words[second + 2]))
    return Scale(key, shift, reach, target)


def sums_of(shard: Shard, rows: slice, scale: Scale) -> Tensor:
    """Return the words of some rows that the ranks add (slots, rows)."""
    sizes = second_slots(shard)
    if not shard.classes:
        shape = (sum(sizes.values()), rows.stop - rows.start)
        return torch.zeros(shape, dtype=torch.int64, device=shard.device)
    x = shard.visible(rows)
    found = _of_label(shard, rows, x)
    top = _finite(numbers_of(scale.key)).unsqueeze(1)
    distance = two_sum(x, -top) if shard.wide else Pair(below(shard, x, top), torch.zeros_like(top))
    if shard.options.label_smoothing:
        even = shard.even_coefficients(rows)
        if "class_count" in sizes:
            assert shard.where is not None
            found["class_count"] = shard.where[rows].sum(1).unsqueeze(0)
        exponent = torch.full_like(scale.shift, vocabulary_of(shard).weight_exponent)
        if "even_weight" in sizes:
            assert even is not None
            found["even_weight"] = _weights(even, exponent)
        found["even"] = _distances(shard, even, exponent, distance, scale, sizes["even"])
    if shard.distribution is not None:
        target = shard.target_coefficients(rows)
        assert scale.target is not None
        found["target_weight"] = _weights(target, scale.target)
        found["target"] = _distances(shard, target, scale.target, distance, scale, sizes["target"])
        if "mass" in sizes:
            mass = shard.distribution[rows].double().sum(1)
            found["mass"] = (mass * _MASS).round().long().unsqueeze(0)
    found |= _exponential_sums(shard, distance, scale.shift.double().unsqueeze(1))
    return torch.cat([found[name] for name in sizes])


def below(shard: Shard, x: Tensor, top: Tensor) -> Tensor:
    """Return the float64 difference of logits and those of a column, in memory that the next block writes."""
    return torch.sub(x, top, out=shard.room.take("below", x, torch.float64))


def read_sums(shard: Shard, words: Tensor, scale: Scale) -> RowSums:
    """Return the sums of whole rows from words that all ranks have added."""
    sizes = second_slots(shard)
    found = dict(zip(sizes, words.split(list(sizes.values())), strict=True))
    maximum = numbers_of(scale.key)
    regular, shift = maximum.isfinite(), scale.shift.double()

    def relative(sums: Pair) -> Pair:
        return Pair(*(torch.where(regular, part, 0.0) for part in sums.scaled(-shift)))

    but_one = found["others"].clone()
    but_one[0] -= int(UNIT)  # the largest counts as 1 there
    others = relative(value_of(but_one))
    moment = (
        relative(value_of(found["moment"]).scaled(shift.new_tensor(_MOMENT))) if "moment" in found else None
    )
    even = target = mass = None
    vocabulary = vocabulary_of(shard)
    count = torch.full_like(maximum, vocabulary.classes)
    if "class_count" in found:
        count = found["class_count"][0].double()
    if "even" in found:
        exponent = torch.full_like(shift, vocabulary.weight_exponent)
        if "even_weight" in found:
            weight = value_of(found["even_weight"]).scaled(exponent)
        elif shard.weight is not None:
            weight = Pair(*(part.expand_as(count) for part in vocabulary.weight_total))
        else:
            weight = pair_of(count)
        even = Linear(weight, _read_distance(found["even"], exponent, scale))
    if "target" in found:
        assert scale.target is not None
        exponent = scale.target.double()
        weight = value_of(found["target_weight"]).scaled(exponent)
        target = Linear(weight, _read_distance(found["target"], exponent, scale))
        mass = found["mass"][0] / _MASS if "mass" in found else weight.high
    return RowSums(
        maximum=maximum,
        regular=regular,
        exists=scale.key != NOTHING,
        others=others,
        log_total=log1p(others),
        moment=moment,
        chosen=found["chosen"][0].view(torch.float64) if "chosen" in found else None,
        chosen_weight=found["chosen_weight"][0].view(torch.float64) if "chosen_weight" in found else None,
        class_count=count,
        even=even,
        target=target,
        mass=mass,
    )


def _exponential_sums(shard: Shard, distance: Pair, shift: Tensor) -> dict[str, Tensor]:
    """Sum exp(x - M) in units of 2**-shift; the largest counts as 1. ``distance`` may be overwritten."""
    found = {}
    if shard.wide:
        power = exponentials(distance)
        exponent = power.exponent + shift
        high, low = times_power(power.value.high, exponent + WIDTH), times_power(power.value.low, exponent)
        if shard.with_entropy:
            product = two_product(high, -distance.high)
            small = (product.low - high * distance.low) / UNIT - low * distance.high
            scaled = torch.nan_to_num(product.high, nan=0.0) * 2.0**-_MOMENT
            found["moment"] = sum_digits(scaled, 2, torch.nan_to_num(small, nan=0.0) * 2.0**-_MOMENT)
        return found | {"others": sum_digits(high.clamp_(max=UNIT), 2, low)}
    moment = distance.high.neg() if shard.with_entropy else None
    scaled = exp_in_place(distance.high).mul_(power_of_two(shift + WIDTH))
    if moment is not None:
        terms = torch.where(scaled == 0, 0.0, moment.mul_(scaled)).mul_(2.0**-_MOMENT)
        found["moment"] = sum_digits(terms, 2)
    whole = shard.room.take("whole", scaled, torch.float64)
    return found | {"others": sum_digits(scaled.clamp_(max=UNIT), 2, whole=whole)}


def _weights(coefficients: Tensor, exponent: Tensor) -> Tensor:
    return sum_digits(times_power(coefficients, (WIDTH - exponent.double()).unsqueeze(1)), 2)


def _distances(
    shard: Shard, coefficients: Tensor | None, exponent: Tensor, distance: Pair, scale: Scale, digits: int
) -> Tensor:
    """Sum a (M - x), in units of the largest that it may be."""
    assert scale.reach is not None
    unit = (WIDTH - scale.reach.double()).unsqueeze(1)
    high, low = -times_power(distance.high, unit), None
    if shard.wide:
        low = -times_power(distance.low, unit)
    if coefficients is None:
        high = high * 0.5  # the weight 1 is below 2^1
        low = None if low is None else low * 0.5
    else:
        a = times_power(coefficients, -exponent.double().unsqueeze(1))
        if low is not None:
            high, rest = two_product(a, high)
            low = a * low + rest
        else:
            high = a * high
    usable = high.isfinite()  # what is not stands for a row that is not finite, or for 0 times -inf
    high = torch.where(usable, high, 0.0)
    return sum_digits(high, digits, None if low is None else torch.where(usable, low, 0.0) / UNIT)


def _read_distance(words: Tensor, exponent: Tensor, scale: Scale) -> Pair:
    assert scale.reach is not None
    distance = value_of(words).scaled(exponent + scale.reach.double())
    infinite = scale.reach == INFINITE
    return Pair(torch.where(infinite, torch.inf, distance.high), torch.where(infinite, 0.0, distance.low))


def _of_label(shard: Shard, rows: slice, x: Tensor) -> dict[str, Tensor]:
    if shard.label is None:
        return {}
    owned, place = shard.owned(rows)
    chosen = torch.where(owned, x.gather(1, place.unsqueeze(1)).squeeze(1).double(), 0.0)
    found = {"chosen": chosen.view(torch.int64).unsqueeze(0)}
    if shard.weight is not None:
        weight = torch.where(owned, shard.weight[place], 0.0)
        found["chosen_weight"] = weight.view(torch.int64).unsqueeze(0)
    return found


def _exponent(value: Tensor) -> Tensor:
    return torch.frexp(_finite(value)).exponent.to(torch.int16)


def _finite(value: Tensor) -> Tensor:
    return torch.where(value.isfinite(), value, 0.0)


def _place_of_largest(x: Tensor) -> Tensor:
    """Return the position of the largest number, or of the first NaN, in each row."""
    if x.device.type != "cpu":
        return x.argmax(1)
    return torch.from_numpy(x.numpy().argmax(1))
