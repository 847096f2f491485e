"""The sum of very many numbers, the same in any order."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_FEW = 512  # up to here math.fsum is as fast
_BLOCK = 1 << 15  # its numbers and the two temporaries stay in the second-level cache
_RESOLVED = 2.0**-75


def exact_sum(values: npt.NDArray[Any]) -> float:
    """The sum of numbers, rounded once (to 2^-75 of the largest): the same in any order of the rows."""
    if values.dtype.itemsize > 8:
        return values.sum()
    if values.size > _FEW:
        largest = max(float(values.max()), -float(values.min()))
        if 0 < largest < 2.0**900:
            return math.fsum(_slices(values.ravel(), largest))
    try:
        return math.fsum(values.tolist())
    except (OverflowError, ValueError):  # beyond the largest number, or inf - inf
        with np.errstate(all="ignore"):
            return float(values.sum())


def _slices(values: npt.NDArray[Any], largest: float) -> list[float]:
    """Sums of the leading bits of all numbers, of the bits that follow, and so on; none of them rounds.

    Adding and subtracting a power of two cuts a number at a bit that is the same for all (Rump, Ogita &
    Oishi, "Accurate floating-point summation", 2008). The power leaves room for the sum of them all.
    """
    room = values.size.bit_length() + 1
    unit, units = math.ldexp(1.0, math.frexp(largest)[1] + room), []
    while not units or units[-1] * values.size * 2.0**-53 > _RESOLVED * largest:
        units.append(unit)
        unit *= 2.0 ** (room - 53)
    totals = [0.0] * len(units)
    rest = np.empty(min(values.size, _BLOCK))
    cut = np.empty_like(rest)
    for start in range(0, values.size, _BLOCK):
        left = values[start : start + _BLOCK]
        leading, following = cut[: left.size], rest[: left.size]
        for position, power in enumerate(units):
            np.add(left, power, out=leading)
            np.subtract(leading, power, out=leading)
            totals[position] += float(leading.sum())
            left = np.subtract(left, leading, out=following)
    return totals
