"""Sums of fixed-point numbers along rows, with the same bits in any order and for any split of a row.

A number is written in digits, at places that all ranks know. A sum is one integer for each
digit, and integers are added without rounding.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ._pairs import Pair, pair_of

MOST_CLASSES = 2**26  # the sums of more digits may not fit in 63 bits
MOST_SHORT_CLASSES = 2**18  # the same for a single digit


class Digits(NamedTuple):
    """The bits of the digits of a sum, and how many there are: what comes after them is dropped."""

    width: int
    words: int

    @property
    def unit(self) -> float:
        """What a number is multiplied by before its first digit is taken."""
        return 2.0**self.width


ONE, TWO, THREE = Digits(44, 1), Digits(36, 2), Digits(36, 3)
SHORT_TWO, FEWER_TWO, FEWER_THREE = Digits(32, 2), Digits(30, 2), Digits(30, 3)


def sum_digits(
    scaled: Tensor, digits: Digits, low: Tensor | None = None, whole: Tensor | None = None
) -> Tensor:
    """Sum numbers times ``digits.unit``, of at most about 1, along rows. Returns integers (digits, rows).

    ``scaled`` is overwritten, and so is ``whole``, of the same shape, where it is given. ``low`` is a small
    part of each number, not multiplied.
    """
    sums = scaled.new_empty((digits.words, scaled.shape[0]), dtype=torch.int64)
    for place in range(digits.words - 1):
        whole = torch.round(scaled, out=whole)
        sums[place] = _total(whole, digits.width)
        scaled.sub_(whole).mul_(digits.unit)
        if low is not None and place == 0:
            scaled += low * digits.unit**2
    sums[-1] = _total(scaled.round_(), digits.width)
    return sums


def value_of(sums: Tensor, digits: Digits) -> Pair:
    """Return sums (digits, rows) as pairs."""
    words, width = carried(sums, digits), digits.width
    upper = words[0] >> width
    total = pair_of(upper.double()).plus(pair_of((words[0] - (upper << width)).double() / digits.unit))
    for place, word in enumerate(words[1:], 2):
        total = total.plus(pair_of(word.double() * 2.0 ** (-width * place)))
    return total


def carried(sums: Tensor, digits: Digits) -> Tensor:
    """Return sums (digits, rows) with all digits but the first in their bits, and none negative."""
    words = [*sums]
    for place in range(len(words) - 1, 0, -1):
        carry = words[place] >> digits.width
        words[place] = words[place] - (carry << digits.width)
        words[place - 1] = words[place - 1] + carry
    return torch.stack(words)


def _total(numbers: Tensor, width: int) -> Tensor:
    """Sum whole numbers of at most ``width`` bits: of so many at once, a sum in float64 is exact."""
    classes, most = numbers.shape[1], 2 ** (52 - width)
    if classes <= most:
        return numbers.sum(1).long()
    whole = classes // most * most
    total = numbers[:, :whole].unflatten(1, (-1, most)).sum(2).long().sum(1)
    return total if whole == classes else total + numbers[:, whole:].sum(1).long()
