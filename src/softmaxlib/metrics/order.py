"""The order of numbers, from the least to the largest, in a fraction of the time of a sort by comparisons."""

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .predictions import Floats


def rising_order(values: npt.NDArray) -> npt.NDArray[np.int64]:
    """Return the places of values, none of them NaN, in rising order; equal ones as they come."""
    numbers: Floats = np.ascontiguousarray(values, np.float64)
    places = np.empty(numbers.size, np.int64)
    _kernels.find_order(numbers, places)
    return places
