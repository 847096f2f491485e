"""The sums of whole rows, read from the words that all ranks have added."""

from typing import NamedTuple

import torch
from torch import Tensor

from ._fixed_point import Digits, value_of
from ._logarithms import log1p
from ._pairs import Pair, pair_of
from ._row_scale import INFINITE, NO_CLASS, Scale, even_exponent
from ._row_sums import MASS_UNIT, MOMENT_BOUND, second_slots
from ._shards import Shard, vocabulary_of


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


def read_sums(shard: Shard, found: dict[str, Tensor], scale: Scale) -> RowSums:
    """Return the sums of whole rows from numbers that all ranks have added."""
    vocabulary = vocabulary_of(shard)
    sizes = second_slots(shard, vocabulary.classes)
    maximum = scale.maximum.double()
    regular, shift = maximum.isfinite(), scale.shift.double().clamp(min=0.0)

    def read(name: str, exponent: Tensor) -> Pair:
        return value_of(found[name], sizes[name]).scaled(exponent)

    def relative(sums: Pair) -> Pair:
        return Pair(*(torch.where(regular, part, 0.0) for part in sums.scaled(-shift)))

    but_one = found["others"].clone()
    but_one[0] -= int(sizes["others"].unit)  # the largest counts as 1 there
    others = relative(value_of(but_one, sizes["others"]))
    moment = relative(read("moment", shift.new_tensor(MOMENT_BOUND))) if "moment" in found else None
    chosen, count = _read_label(shard, found, maximum)
    even = target = mass = None
    if "even" in found:
        exponent = even_exponent(shard, scale)
        if "even_weight" in found:
            weight = read("even_weight", exponent)
        elif shard.weight is not None:
            weight = Pair(*(part.expand_as(count) for part in vocabulary.weight_total))
        else:
            weight = pair_of(count)
        even = Linear(weight, _read_distance(found["even"], sizes["even"], exponent, scale))
    if "target_weight" in found:
        assert scale.target is not None
        exponent = scale.target.double()
        weight = read("target_weight", exponent)
        distance = pair_of(torch.zeros_like(exponent))  # not needed where terms follow
        if "target" in found:
            distance = _read_distance(found["target"], sizes["target"], exponent, scale)
        target, mass = Linear(weight, distance), weight.high
    if "mass" in found:
        mass = found["mass"][0] / MASS_UNIT
    return RowSums(
        maximum=maximum,
        regular=regular,
        exists=scale.shift != NO_CLASS,
        others=others,
        log_total=log1p(others),
        moment=moment,
        chosen=chosen,
        chosen_weight=found["chosen_weight"][0].view(torch.float64) if "chosen_weight" in found else None,
        class_count=count,
        even=even,
        target=target,
        mass=mass,
    )


def _read_label(shard: Shard, found: dict[str, Tensor], like: Tensor) -> tuple[Tensor | None, Tensor]:
    """Return the label's logit, and the number of classes of each row."""
    count = torch.full_like(like, vocabulary_of(shard).classes)
    if "class_count" in found:
        count = found["class_count"][0].double()
    if "chosen" not in found:
        return None, count
    word = found["chosen"][0]
    if shard.wide:
        return word.view(torch.float64), count
    return ((word << 32) >> 32).to(torch.int32).view(torch.float32).double(), count


def _read_distance(words: Tensor, digits: Digits, exponent: Tensor, scale: Scale) -> Pair:
    assert scale.reach is not None
    distance = value_of(words, digits).scaled(exponent + scale.reach.double())
    infinite = scale.reach == INFINITE
    return Pair(torch.where(infinite, torch.inf, distance.high), torch.where(infinite, 0.0, distance.low))
