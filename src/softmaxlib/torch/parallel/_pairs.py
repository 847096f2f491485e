"""Numbers as unevaluated sums of two float64, with some 105 bits."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_SPLITTER = 2.0**27 + 1


class Pair(NamedTuple):
    """The exact sum of two tensors of float64, ``low`` below half a unit of ``high``."""

    high: Tensor
    low: Tensor

    def plus(self, other: "Pair") -> "Pair":
        """Return the sum."""
        high, low = two_sum(self.high, other.high)
        return renormalized(high, low + (self.low + other.low))

    def times(self, other: "Pair") -> "Pair":
        """Return the product."""
        high, low = two_product(self.high, other.high)
        return renormalized(high, low + (self.high * other.low + self.low * other.high))

    def over(self, other: "Pair") -> "Pair":
        """Return the quotient."""
        quotient = self.high / other.high
        high, low = two_product(quotient, other.high)
        rest = ((self.high - high) - low) + (self.low - quotient * other.low)
        return renormalized(quotient, rest / other.high)

    def scaled(self, exponent: Tensor) -> "Pair":
        """Return the pair times a power of two."""
        return Pair(times_power(self.high, exponent), times_power(self.low, exponent))


def pair_of(value: Tensor) -> Pair:
    """Convert a number to a pair."""
    return Pair(value, torch.zeros_like(value))


def two_sum(a: Tensor, b: Tensor) -> Pair:
    """Return the rounded sum and its rounding error, which is 0 where the sum is not finite."""
    high = a + b
    part = high - a
    low = (a - (high - part)) + (b - part)
    return Pair(high, torch.nan_to_num(low, nan=0.0, posinf=0.0, neginf=0.0))


def two_product(a: Tensor, b: Tensor) -> Pair:
    """Return the rounded product and its rounding error, which is 0 where the product is not finite."""
    high = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    low = ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low
    return Pair(high, torch.nan_to_num(low, nan=0.0, posinf=0.0, neginf=0.0))


def elementary(name: str, value: Tensor) -> Tensor:
    """Compute exp, expm1 or log1p of float64, with bits that don't depend on the place in the tensor.

    On the CPU these are NumPy's; PyTorch's may differ between the middle and the end of a tensor.
    """
    if value.device.type != "cpu":
        return getattr(torch, name)(value)
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.asarray(getattr(np, name)(value.contiguous().numpy())))


def times_power(value: Tensor, exponent: Tensor) -> Tensor:
    """Compute value * 2**exponent for any integer exponent, in two steps to avoid early overflow."""
    whole = exponent.clamp(-2100.0, 2100.0)
    first = (whole / 3).trunc()
    second = ((whole - first) / 2).trunc()
    return value * power_of_two(first) * power_of_two(second) * power_of_two(whole - first - second)


def power_of_two(exponent: Tensor) -> Tensor:
    """Compute 2**exponent for whole numbers in -1022 to 1023."""
    return ((exponent.long() + 1023) << 52).view(torch.float64)


def renormalized(high: Tensor, low: Tensor) -> Pair:
    """Return the sum as a pair; ``low`` must be the smaller."""
    low = torch.where(low.isnan(), 0.0, low)  # inf times the 0 of another pair's low part
    total = high + low
    rest = low - (total - high)
    return Pair(total, torch.nan_to_num(rest, nan=0.0, posinf=0.0, neginf=0.0))


def _upper_half(value: Tensor) -> Tensor:
    scaled = value * _SPLITTER
    return scaled - (scaled - value)


def power(value: Tensor, exponent: float) -> Tensor:
    """Compute value**exponent of float64, with bits that don't depend on the place in the tensor."""
    if value.device.type != "cpu":
        return value**exponent
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.asarray(np.power(value.contiguous().numpy(), exponent)))
