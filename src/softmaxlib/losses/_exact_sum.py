"""A sum of many numbers that does not depend on their order."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _kernels

_SCALE = 2.0**-64


def exact_sum(values: npt.NDArray[Any]) -> float:
    """Return the sum, rounded once (to 2^-75 of the largest number). The order of the rows does not
    matter."""
    if values.dtype.itemsize > 8:  # longer than double
        return values.sum()
    return _kernels.exact_sum(np.ascontiguousarray(values, dtype=np.float64))


def exact_mean(values: npt.NDArray[Any], denominator: float) -> Any:
    """Return the sum over a denominator, of smaller numbers where the sum overflows."""
    total = exact_sum(values)
    if np.isfinite(total) or not np.isfinite(values).all():
        return np.divide(total, denominator)
    return np.divide(exact_sum(values * _SCALE), denominator) / _SCALE
