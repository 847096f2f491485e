"""The scale of the sums of each row: its two largest logits, and bounds on terms, by maxima over ranks.

With M the largest, a row's sum of exp(x - M) over all others is a number of known size, and so are sums of
distances M - x. These are what `sums_of` adds in fixed point.
"""

from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from ._largest import NOTHING, keys_of, largest_two, numbers_of, top_slots, write_largest
from ._shards import Shard, vocabulary_of

INFINITE = torch.iinfo(torch.int16).max  # the reach of a row with a term that is infinite
NO_CLASS = -1  # the shift of a row without a class

SCALE_BITS = {"shift": (11,), "reach": (12,), "even_exponent": (12,), "target_exponent": (12,)}
_LEAST_EXPONENT, _INFINITE_WORD = -1100, 4095

_CHUNK = 256  # classes of which the largest logit is found first


class Scale(NamedTuple):
    """Numbers of each row that all ranks know before sums are added."""

    maximum: Tensor  # the largest logit, in the type in which logits are computed
    shift: Tensor  # int16: the second largest exponential is about 2**-shift; -1 without classes
    reach: Tensor | None  # int16: distances to the largest logit are below 2**reach
    even: Tensor | None  # int16: weights of smoothing are below 2**even, where rows differ
    target: Tensor | None  # int16: coefficients of the target are below 2**target


def first_slots(shard: Shard, ranks: int) -> int:
    """Return the number of words per row for which the ranks take maxima."""
    coefficients = shard.has_coefficients + shard.has_row_weights + (shard.distribution is not None)
    return top_slots(ranks, shard.wide) + coefficients


def largest_of(shard: Shard, rows: slice, rank: int, ranks: int) -> Tensor:
    """Return the words of a group of rows for which the ranks take maxima (slots, rows)."""
    size = rows.stop - rows.start
    words = torch.full((first_slots(shard, ranks), size), NOTHING, dtype=torch.int64, device=shard.device)
    if not shard.classes or not size:
        return words
    kind = torch.float64 if shard.wide else torch.float32
    top, second, lowest = (torch.empty(size, dtype=kind, device=shard.device) for _ in range(3))
    even = target = exists = None
    if shard.has_row_weights:
        even = torch.empty(size, dtype=torch.float64, device=shard.device)
    if shard.distribution is not None:
        target = torch.empty(size, dtype=torch.float64, device=shard.device)
    if shard.where is not None:
        exists = shard.where[rows].any(1)
    for block, at in shard.blocks(rows):
        x = shard.visible(block)
        top[at], second[at] = two_largest(x)
        if shard.options.label_smoothing:
            weights = shard.even_coefficients(block)
            lowest[at] = (x if weights is None else torch.where(weights == 0, torch.inf, x)).amin(1)
            if even is not None and weights is not None:
                even[at] = weights.amax(1)
        if target is not None:
            coefficients = shard.target_coefficients(block)
            least = torch.where(coefficients == 0, torch.inf, x).amin(1)
            lowest[at] = torch.minimum(lowest[at], least) if shard.options.label_smoothing else least
            target[at] = coefficients.amax(1)
    place = top_slots(ranks, shard.wide)
    write_largest(words[:place], rank, ranks, top, second)
    if exists is not None:
        words[:place].masked_fill_(~exists, NOTHING)
    if shard.has_coefficients:
        words[place] = keys_of(-lowest.double())
    for more in (even, target):
        if more is not None:
            place += 1
            words[place] = keys_of(more)
    return words


def scale_of(shard: Shard, words: Tensor, ranks: int) -> Scale:
    """Return what the maxima over the ranks (slots, rows) say of each row."""
    place = top_slots(ranks, shard.wide)
    maximum, next_largest, exists = largest_two(words[:place], shard.wide)
    gap = finite((maximum - next_largest) / log(2))
    shift = gap.floor().clamp(0.0, 1200.0 if shard.wide else 900.0).to(torch.int16)
    shift = torch.where(exists, shift, NO_CLASS)
    reach = even = target = None
    if shard.has_coefficients:
        lowest = -numbers_of(words[place])
        reach = _exponent(maximum - lowest)
        # a class of logit -inf has a coefficient: the loss is infinite
        reach = torch.where((lowest == -torch.inf) & maximum.isfinite(), INFINITE, reach)
    if shard.has_row_weights:
        place += 1
        even = _exponent(numbers_of(words[place]))
    if shard.distribution is not None:
        target = _exponent(numbers_of(words[place + 1]))
    return Scale(maximum, shift, reach, even, target)


def pack_scale(scale: Scale) -> dict[str, Tensor]:
    """Return the scale of some rows as numbers of `SCALE_BITS`, but for the largest logit."""
    found = {"shift": scale.shift.long() - NO_CLASS}
    if scale.reach is not None:
        reach = scale.reach.long()
        found["reach"] = torch.where(reach == INFINITE, _INFINITE_WORD, reach - _LEAST_EXPONENT)
    for name, exponent in (("even_exponent", scale.even), ("target_exponent", scale.target)):
        if exponent is not None:
            found[name] = exponent.long() - _LEAST_EXPONENT
    return {name: number.unsqueeze(0) for name, number in found.items()}


def unpack_scale(maximum: Tensor, numbers: dict[str, Tensor]) -> Scale:
    """Return what `pack_scale` took."""
    shift = (numbers["shift"][0] + NO_CLASS).to(torch.int16)
    even, target = (exponent_of(name, numbers) for name in ("even_exponent", "target_exponent"))
    return Scale(maximum, shift, reach_of(numbers), even, target)


def exponent_of(name: str, numbers: dict[str, Tensor]) -> Tensor | None:
    """Return an exponent that `pack_scale` took, or None."""
    return (numbers[name][0] + _LEAST_EXPONENT).to(torch.int16) if name in numbers else None


def reach_of(numbers: dict[str, Tensor]) -> Tensor | None:
    """Return the reach that `pack_scale` took, or None."""
    reach = exponent_of("reach", numbers)
    if reach is None:
        return None
    return torch.where(numbers["reach"][0] == _INFINITE_WORD, INFINITE, reach).to(torch.int16)


def even_exponent(shard: Shard, scale: Scale) -> Tensor:
    """Return exponents that bound the coefficients of smoothing in each row."""
    if scale.even is not None:
        return scale.even.double()
    exponent = 0 if shard.weight is None else vocabulary_of(shard).weight_exponent
    return torch.full_like(scale.shift, exponent, dtype=torch.float64)


def _exponent(value: Tensor) -> Tensor:
    return torch.frexp(finite(value)).exponent.to(torch.int16)


def finite(value: Tensor) -> Tensor:
    return torch.where(value.isfinite(), value, 0.0)


def two_largest(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest number of each row, and the largest of all others; NaN is above all."""
    classes = x.shape[1]
    whole = classes // _CHUNK
    if whole < 2:
        return _two_largest_of_few(x)
    chunks = x[:, : whole * _CHUNK].unflatten(1, (whole, _CHUNK)).amax(2)
    if classes % _CHUNK:
        chunks = torch.cat([chunks, x[:, whole * _CHUNK :].amax(1, keepdim=True)], 1)
    place = _place_of_largest(chunks).unsqueeze(1)
    inside = place * _CHUNK + torch.arange(_CHUNK, device=x.device)
    held = torch.where(inside < classes, x.gather(1, inside.clamp(max=classes - 1)), -torch.inf)
    top, second = _two_largest_of_few(held)
    return top, torch.maximum(second, chunks.scatter(1, place, -torch.inf).amax(1))


def _two_largest_of_few(x: Tensor) -> tuple[Tensor, Tensor]:
    place = _place_of_largest(x).unsqueeze(1)
    return x.gather(1, place).squeeze(1), x.scatter(1, place, -torch.inf).amax(1)


def _place_of_largest(x: Tensor) -> Tensor:
    """Return the position of the largest number, or of the first NaN, in each row."""
    if x.device.type != "cpu":
        return x.argmax(1)
    return torch.from_numpy(x.numpy().argmax(1))
