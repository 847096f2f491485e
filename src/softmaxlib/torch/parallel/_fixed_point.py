"""Sums of fixed-point numbers along rows, with the same bits in any order and for any split of a row.

A number is written in digits of 36 bits, at places that all ranks know. A sum is one integer for each digit,
and integers are added without rounding.
"""

import torch
from torch import Tensor

from ._pairs import Pair, pair_of

WIDTH = 36
UNIT = 2.0**WIDTH
MOST_CLASSES = 2**26  # the sums of more digits may not fit in 63 bits

_MOST_TERMS = 2**16  # at once: a sum of this many digits is exact in float64


def sum_digits(scaled: Tensor, digits: int, low: Tensor | None = None, whole: Tensor | None = None) -> Tensor:
    """Sum numbers times `UNIT`, of at most about 1, along rows. Returns integers (digits, rows).

    ``scaled`` is overwritten, and so is ``whole``, of the same shape, where it is given. ``low`` is a small
    part of each number, not multiplied.
    """
    sums = scaled.new_empty((digits, scaled.shape[0]), dtype=torch.int64)
    for place in range(digits - 1):
        whole = torch.round(scaled, out=whole)
        sums[place] = _total(whole)
        scaled.sub_(whole).mul_(UNIT)
        if low is not None and place == 0:
            scaled += low * UNIT**2
    sums[-1] = _total(scaled.round_())
    return sums


def value_of(sums: Tensor) -> Pair:
    """Return sums (digits, rows) as pairs."""
    digits = [*sums]
    for place in range(len(digits) - 1, 0, -1):
        carry = digits[place] >> WIDTH
        digits[place] = digits[place] - (carry << WIDTH)
        digits[place - 1] = digits[place - 1] + carry
    upper = digits[0] >> WIDTH
    total = pair_of(upper.double()).plus(pair_of((digits[0] - (upper << WIDTH)).double() / UNIT))
    for place, digit in enumerate(digits[1:], 2):
        total = total.plus(pair_of(digit.double() * 2.0 ** (-WIDTH * place)))
    return total


def _total(digits: Tensor) -> Tensor:
    if digits.shape[1] <= _MOST_TERMS:
        return digits.sum(1).long()
    return torch.stack([part.sum(1).long() for part in digits.split(_MOST_TERMS, 1)]).sum(0)
