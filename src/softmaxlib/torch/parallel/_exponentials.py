"""Exponentials of logits that don't depend on the rest of the row.

Exponentials are usually taken relative to the row's maximum. A shard of the row has another maximum, so its
rounding errors would differ from those of the whole row. Here exp(x) is one float64, or two of them, times a
power of two, and depends only on x: every rank gets the same bits.
"""

import functools
from decimal import Decimal, localcontext
from typing import NamedTuple

import torch
from torch import Tensor

from ._pairs import Pair, elementary, two_sum

DIRECT = 700.0  # up to here exp(x) is a normal float64

_STEPS = 64
_LN2_HIGH, _LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17


class Exponentials(NamedTuple):
    """(value.high + value.low) * 2**exponent, where ``exponent`` holds whole numbers in float64."""

    value: Pair
    exponent: Tensor | None  # None: 0 everywhere

    def scaled(self) -> Pair:
        """Return the plain numbers, which may overflow."""
        return self.value if self.exponent is None else self.value.scaled(self.exponent)


def exponentials(logits: Tensor, wide: bool) -> Exponentials:
    """Compute exp of logits in float64: to 2^-52, or if ``wide`` to 2^-60."""
    return exponential_pairs(logits) if wide else exponential_numbers(logits)


def exponential_numbers(logits: Tensor) -> Exponentials:
    """Compute exp to 2^-52 for float64 converted from a narrower type; beyond `DIRECT` in two steps."""
    direct = logits.abs() < DIRECT
    rest, quotient = _reduced(logits, 1)
    value = torch.where(direct, logits, rest)
    exponent = torch.where(direct, 0.0, quotient)
    high = elementary("exp", value)
    return Exponentials(Pair(high, torch.zeros_like(high)), exponent)


def exponential_pairs(logits: Tensor) -> Exponentials:
    """Compute exp to 2^-60 as 2**(quotient / 64), with its fraction from a table, times exp(rest)."""
    rest, quotient = _reduced(logits, _STEPS)
    place = torch.remainder(quotient, _STEPS)
    exponent = (quotient - place) / _STEPS
    table = _table(logits.device)[:, place.long()]
    tail = rest * rest * (0.5 + rest * (1 / 6 + rest * (1 / 24 + rest * (1 / 120 + rest * (1 / 720)))))
    growth = rest + tail
    high, low = two_sum(table[0], table[0] * growth + table[1] * (1 + growth))
    nothing = logits == -torch.inf
    return Exponentials(
        Pair(torch.where(nothing, 0.0, high), torch.where(nothing, 0.0, low)),
        torch.where(nothing, 0.0, exponent),
    )


def _reduced(logits: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Compute x = quotient * ln(2) / steps + rest, for |x| < 2^50; beyond that, only the quotient."""
    unit = _LN2_HIGH / steps  # a power of two times ln(2): fmod by it is exact
    finite = torch.where(logits.isfinite(), logits, 0.0)
    remainder = torch.fmod(finite, unit)
    quotient = ((finite - remainder) / unit).round()
    rest = remainder - quotient * (_LN2_LOW / steps)
    rest = torch.where(finite.abs() < 2.0**50, rest, 0.0)
    infinite = torch.where(logits.isfinite(), rest, logits)
    return infinite, quotient


@functools.cache
def _table(device: torch.device) -> Tensor:
    """Compute 2**(i / 64) as pairs, shape (2, 64)."""
    with localcontext() as context:
        context.prec = 60
        powers = [Decimal(2) ** (Decimal(i) / _STEPS) for i in range(_STEPS)]
        high = [float(power) for power in powers]
        low = [float(power - Decimal(number)) for power, number in zip(powers, high, strict=True)]
    return torch.tensor([high, low], dtype=torch.float64, device=device)
