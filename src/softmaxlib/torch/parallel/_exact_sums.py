"""Sums of float64 along rows, with the same bits in any order and for any split of a row.

The bits of a binary number are divided into bins of 32, at fixed positions. A sum is kept as one integer for
each of a few bins: the highest one that the row's terms reach, and some below it. The share of a term in a
bin depends only on the term, and integers are added without rounding. So the sum of a row is the sum of its
parts, bin by bin. Bins of a part below those of the row are dropped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ._pairs import Pair, pair_of, power_of_two, times_power

WIDTH = 32
MOST_TERMS = 2**20  # at once: sums of this many integers below 2^33 are exact in float64
NARROW, WIDE = 3, 4  # bins: the lowest is 2^-64 or 2^-96 of the largest term, or less

_NO_TERMS = -(2.0**40)  # the highest bin of a row of zeros


class ExactSums(NamedTuple):
    """A sum for each row: ``bins[i]`` counts units of ``2**(WIDTH * (top - i))``."""

    top: Tensor  # (rows,), whole numbers in float64
    bins: Tensor  # (bins, rows) int64


def sum_exactly(terms: Sequence[Tensor], exponent: Tensor | None, bins: int) -> ExactSums:
    """Sum finite terms (rows, classes) times 2**exponent (None: 1) along rows, leading terms first."""
    leading = terms[0]
    rows = leading.shape[0]
    sums = torch.zeros((bins, rows), dtype=torch.int64, device=leading.device)
    if leading.shape[1] == 0:
        return ExactSums(torch.full((rows,), _NO_TERMS, dtype=torch.float64, device=leading.device), sums)
    top = _bin_of(leading.abs().amax(1), 0.0) if exponent is None else _bin_of(leading, exponent).amax(1)
    shift = (-WIDTH * top).unsqueeze(1)
    regular = exponent is None and bool((top.abs() < 1000 / WIDTH).all())
    for part in terms:
        if regular:
            rest = part * power_of_two(shift)
        else:
            rest = times_power(part, shift if exponent is None else shift + exponent)
        digits = torch.empty_like(rest)
        for place in range(bins):
            torch.trunc(rest, out=digits)
            sums[place] += digits.sum(1).long()
            if place < bins - 1:
                rest.sub_(digits).mul_(2.0**WIDTH)
    return ExactSums(top, sums)


def merge(parts: Sequence[ExactSums]) -> ExactSums:
    """Return the sums of rows from those of their parts."""
    top = parts[0].top
    for part in parts[1:]:
        top = torch.maximum(top, part.top)
    total = torch.zeros_like(parts[0].bins)
    bins = total.shape[0]
    for part in parts:
        lower = (top - part.top).clamp(max=float(bins)).long()
        for place in range(bins):
            source = place - lower
            taken = part.bins.gather(0, source.clamp(min=0).unsqueeze(0)).squeeze(0)
            total[place] += torch.where(source >= 0, taken, 0)
    return ExactSums(top, total)


def value_of(sums: ExactSums) -> tuple[Pair, Tensor]:
    """Return the sums as pairs, each with a power of two."""
    bins = [*sums.bins]
    for place in range(len(bins) - 1, 0, -1):
        carry = bins[place] >> WIDTH
        bins[place] = bins[place] - (carry << WIDTH)
        bins[place - 1] = bins[place - 1] + carry
    upper = bins[0] >> WIDTH
    total = pair_of((bins[0] - (upper << WIDTH)).double())
    total = pair_of(upper.double() * 2.0**WIDTH).plus(total)
    for place, digits in enumerate(bins[1:], 1):
        total = total.plus(pair_of(digits.double() * 2.0 ** (-WIDTH * place)))
    return total, torch.where(sums.top == _NO_TERMS, 0.0, WIDTH * sums.top)


def sum_of_finite(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the values with 0 in place of NaN and infinity, and the sum of these along rows."""
    finite = values.isfinite()
    return torch.where(finite, values, 0.0), torch.where(finite, 0.0, values).sum(1)


def _bin_of(value: Tensor, exponent: Tensor | float) -> Tensor:
    position = torch.frexp(value).exponent.double() + exponent
    return torch.where(value == 0, _NO_TERMS, ((position - 1) / WIDTH).floor())
