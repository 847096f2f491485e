"""log(1 + x) as a pair."""

import torch
from torch import Tensor

from ._exponentials import exponentials
from ._pairs import Pair, elementary, pair_of, renormalized, two_product


def log1p(value: Pair) -> Pair:
    """Compute log(1 + value) for 0 <= value: one step of Newton's method on the float64 result."""
    rough = elementary("log1p", value.high)
    power = _expm1(rough)
    rest = ((value.high - power.high) - power.low) + value.low
    step = torch.nan_to_num(rest / (1 + value.high), nan=0.0, posinf=0.0, neginf=0.0)
    return renormalized(rough, step)


def _expm1(value: Tensor) -> Pair:
    """Compute exp(value) - 1 as a pair, for 0 <= value."""
    near = value.clamp(max=0.125)
    square = two_product(near, near)
    tail = torch.full_like(near, 1 / 6227020800.0)
    for factorial in (479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0, 24.0, 6.0):
        tail = tail * near + 1 / factorial
    small = renormalized(near, square.high / 2).plus(
        Pair(square.low / 2 + square.high * near * tail, torch.zeros_like(near))
    )
    power = exponentials(pair_of(value))
    large = power.scaled().plus(pair_of(torch.full_like(value, -1.0)))
    is_small = value <= 0.125
    return Pair(torch.where(is_small, small.high, large.high), torch.where(is_small, small.low, large.low))
