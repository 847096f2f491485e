"""Room for rounding at a threshold: how far rounding moves probabilities.

Models give many rows the same probability, and such rows may be fitted in float32 and decided in float64.
"""

import numpy as np
import numpy.typing as npt

from ..calibration.ties import beginnings
from .decision import Floats

_OF_PROBABILITY = 2.0**-23  # of softmax in float32, relative
_OF_LOGITS = 2.0**-19  # of the difference of two logits below 32 in float32
_OF_DISTANCE = 2.0**-7  # of float64 near 1, which has digits there that float32 lacks
_OF_FLOAT64 = 2.0**-40  # of softmax in float64, relative
_ALL = 1 - 2.0**-46  # the sum of all probabilities of a row in float64, at least
_LEAST = float(np.finfo(np.float32).tiny)


def rounding(probabilities: Floats, dtype: npt.DTypeLike, are_sums: bool = False) -> Floats:
    """Return by how much probabilities, or sums of them, may differ from those of other arithmetic.

    This is the rounding of float32. Of float64 it is little beside the distance from 1, so that different
    rows of a very sure model are not taken for equal.

    Parameters
    ----------
    probabilities : ndarray of float64
    dtype : dtype
        The type in which they were computed.
    are_sums : bool
        Whether they are sums of the largest probabilities of rows. The sum of all is 1 in any arithmetic.
    """
    below = np.maximum(1 - probabilities, 0.0)
    most = probabilities * (_OF_PROBABILITY + below * _OF_LOGITS)
    if dtype == np.float32:
        return most
    narrow = np.minimum(most, below * _OF_DISTANCE)
    return np.where(probabilities > _ALL, most, narrow) if are_sums else narrow


def begins_tie(rising: Floats, dtype: npt.DTypeLike) -> npt.NDArray[np.bool_]:
    """Tell which of distinct rising probabilities are larger than the one before by more than rounding."""
    noise = rounding(rising, dtype) if dtype == np.float32 else rising * _OF_FLOAT64
    return beginnings(rising, noise / 2)


def lowered(grid: Floats) -> Floats:
    """Return thresholds that are fixed before any data, lower by rounding.

    So all of the probabilities that equal one but for rounding reach it.
    """
    return grid - rounding(grid, np.float64)


def reachable(threshold: npt.ArrayLike) -> Floats:
    """Return the least number that counts as reaching a stated threshold: it may be rounded to float32."""
    stated = np.asarray(threshold, np.float64)
    rounded = np.maximum(stated, _LEAST).astype(np.float32)
    return np.where(stated < _LEAST, stated, np.minimum(stated, rounded))


def tie_with(cost: Floats, stated: float) -> float:
    """Return by how much an expected cost that is exactly a stated one may differ from it in float32.

    Parameters
    ----------
    cost : ndarray, shape (classes, actions)
    stated : float
        The cost of setting a row aside. If no row or every row costs more, it decides nothing.
    """
    least, most = float(cost.min()), float(cost.max())
    if not least <= stated <= float(cost.max(axis=0).min()):
        return 0.0
    return _OF_PROBABILITY * (abs(stated) + 2 * max(0.0, min(most, -least)))
