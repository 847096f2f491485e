"""Exponentials, as float64 or as pairs of float64."""

import functools
from decimal import Decimal, localcontext
from math import log
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ._pairs import Pair, two_sum

_STEPS = 64
_LIMIT = 1500.0  # beyond: 0, or too large for float64
_STEP_HIGH = 0x58B90BFBE * 2.0**-41  # ln(2) / 64 in 35 bits: products with numbers below 2^18 are exact
_STEP_LOW = 2.5310172166650877e-13  # and the rest of it


class Exponentials(NamedTuple):
    """(value.high + value.low) * 2**exponent, where ``exponent`` holds whole numbers in float64."""

    value: Pair
    exponent: Tensor

    def scaled(self) -> Pair:
        """Return the plain numbers, which may overflow."""
        return self.value.scaled(self.exponent)


def exp_in_place(value: Tensor) -> Tensor:
    """Compute exp of contiguous float64, with bits that don't depend on the place in the tensor.

    On the CPU it is NumPy's; PyTorch's may differ between the middle and the end of a tensor.
    """
    if value.device.type != "cpu":
        return value.exp_()
    with np.errstate(all="ignore"):
        np.exp(value.numpy(), out=value.numpy())
    return value


def exponentials(value: Pair) -> Exponentials:
    """Compute exp to 2^-58: 2**(quotient / 64), with its fraction from a table, times exp(rest)."""
    bounded = torch.nan_to_num(value.high, nan=0.0).clamp(-_LIMIT, _LIMIT)
    low = torch.where(value.high == bounded, value.low, 0.0)
    quotient = (bounded * (_STEPS / log(2))).round()
    rest = ((bounded - quotient * _STEP_HIGH) - quotient * _STEP_LOW) + low
    place = torch.remainder(quotient, _STEPS)
    exponent = (quotient - place) / _STEPS
    table = _table(value.high.device)[:, place.long()]
    tail = rest * rest * (0.5 + rest * (1 / 6 + rest * (1 / 24 + rest * (1 / 120 + rest * (1 / 720)))))
    growth = rest + tail
    return Exponentials(two_sum(table[0], table[0] * growth + table[1] * (1 + growth)), exponent)


@functools.cache
def _table(device: torch.device) -> Tensor:
    """Compute 2**(i / 64) as pairs, shape (2, 64)."""
    with localcontext() as context:
        context.prec = 60
        powers = [Decimal(2) ** (Decimal(i) / _STEPS) for i in range(_STEPS)]
        high = [float(power) for power in powers]
        low = [float(power - Decimal(number)) for power, number in zip(powers, high, strict=True)]
    return torch.tensor([high, low], dtype=torch.float64, device=device)
