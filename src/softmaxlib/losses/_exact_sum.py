"""A sum of many numbers that does not depend on their order."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _kernels


def exact_sum(values: npt.NDArray[Any]) -> float:
    """Return the sum, rounded once (to 2^-75 of the largest number). The order of the rows does not
    matter."""
    if values.dtype.itemsize > 8:  # longer than double
        return values.sum()
    return _kernels.exact_sum(np.ascontiguousarray(values, dtype=np.float64))
