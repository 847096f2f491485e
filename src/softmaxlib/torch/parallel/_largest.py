"""The largest and the second largest logit of each row over all ranks, by one all-reduce of maxima.

An all-reduce gives the largest number, not the second. So each rank writes its largest logit to half of some
slots, and no two ranks to the same half. A rank other than the one with the row's largest logit writes to at
least one slot that this one does not. The largest logit is then found in exactly half of the slots, and the
rest holds the largest of all other ranks. One more slot is for what is second on its own rank. The number of
slots grows slowly: 4 for 6 ranks, 8 for 70 ranks (Sperner's theorem).
"""

from functools import cache
from itertools import combinations, count, islice
from math import comb

import torch
from torch import Tensor

NOTHING = torch.iinfo(torch.int64).min  # below every number

_MAGNITUDE = torch.iinfo(torch.int64).max


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


def largest_two(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Return the keys of each row's largest and second largest logit.

    ``keys`` (slots + 1, rows) are maxima over the ranks; the last is that of the second logits on each rank.
    """
    ordered = keys.sort(0, descending=True).values
    return ordered[0], ordered[_half(keys.shape[0] - 1)]


def _half(size: int) -> int:
    return (size + 1) // 2
