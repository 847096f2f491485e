"""The largest and the second largest logit of each row over all ranks, by one all-reduce of maxima.

An all-reduce gives the largest number, not the second. So each rank writes its largest logit to half of some
slots, and no two ranks to the same half. A rank other than the one with the row's largest logit writes to at
least one slot that this one does not. The largest logit is then found in exactly half of the slots, and the
rest holds the largest of all other ranks. What is second on its own rank is in the lower half of the words of
float32 logits, and in one more slot for float64. The number of slots grows slowly: 4 for 6 ranks, 8 for 70
ranks (Sperner's theorem).
"""

from functools import cache
from itertools import combinations, count, islice
from math import comb

import torch
from torch import Tensor

NOTHING = torch.iinfo(torch.int64).min  # below every number

_MAGNITUDE = torch.iinfo(torch.int64).max
_SHORT_MAGNITUDE, _SHORT_NOTHING = torch.iinfo(torch.int32).max, torch.iinfo(torch.int32).min
LOWER_HALF = 2**32 - 1


def keys_of(numbers: Tensor) -> Tensor:
    """Return integers in the order of float64 numbers; NaN is above all."""
    bits = torch.where(numbers.isnan(), torch.nan, numbers + 0.0).view(torch.int64)
    return bits ^ ((bits >> 63) & _MAGNITUDE)


def numbers_of(keys: Tensor) -> Tensor:
    """Return the numbers of keys, and -inf for `NOTHING`."""
    numbers = (keys ^ ((keys >> 63) & _MAGNITUDE)).view(torch.float64)
    return torch.where(keys == NOTHING, -torch.inf, numbers)


@cache
def slots_of(ranks: int) -> tuple[tuple[int, ...], ...]:
    """Return the slots to which each rank writes its largest logit."""
    return tuple(islice(combinations(range(slot_count(ranks)), _half(slot_count(ranks))), ranks))


@cache
def slot_count(ranks: int) -> int:
    """Return the number of slots for the largest logits of the ranks."""
    return next(size for size in count(1) if comb(size, _half(size)) >= ranks)


def top_slots(ranks: int, wide: bool) -> int:
    """Return the number of slots for the largest and the second largest logits of the ranks."""
    return slot_count(ranks) + wide


def write_largest(words: Tensor, rank: int, ranks: int, top: Tensor, second: Tensor) -> None:
    """Write the two largest logits of each row on this rank to its slots (slots, rows)."""
    slots, wide = list(slots_of(ranks)[rank]), top.dtype == torch.float64
    if wide:
        words[slots], words[slot_count(ranks)] = keys_of(top), keys_of(second)
    else:
        words[slots] = (_short_keys_of(top) << 32) | (_short_keys_of(second) & LOWER_HALF)


def largest_two(words: Tensor, wide: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's largest logit, the second largest, and whether there is any.

    ``words`` (slots, rows) are maxima over the ranks.
    """
    ordered = words.sort(0, descending=True).values
    half = _half(words.shape[0] - wide)
    exists = ordered[0] != NOTHING
    if wide:
        return numbers_of(ordered[0]), numbers_of(ordered[half]), exists
    own_second = (ordered[0] << 32) >> 32
    second = torch.maximum(ordered[half] >> 32, own_second) if half < words.shape[0] else own_second
    largest, second = (_numbers_of_short(keys).double() for keys in (ordered[0] >> 32, second))
    return torch.where(exists, largest, -torch.inf), torch.where(exists, second, -torch.inf), exists


def _short_keys_of(numbers: Tensor) -> Tensor:
    """Return integers of 32 bits, as int64, in the order of float32 numbers; NaN is above all."""
    bits = torch.where(numbers.isnan(), torch.nan, numbers + 0.0).view(torch.int32).long()
    return bits ^ ((bits >> 63) & _SHORT_MAGNITUDE)


def _numbers_of_short(keys: Tensor) -> Tensor:
    numbers = (keys ^ ((keys >> 63) & _SHORT_MAGNITUDE)).to(torch.int32).view(torch.float32)
    return torch.where(keys == _SHORT_NOTHING, -torch.inf, numbers)


def _half(size: int) -> int:
    return (size + 1) // 2
