"""Weights of rows and of classes."""

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from ..errors import InvalidInputError
from .logits import as_float_array


def check_sample_weight(sample_weight: Array | None, rows: int) -> npt.NDArray[np.float64] | None:
    """Weights (rows,), finite, none negative, not all zero; None stays None."""
    if sample_weight is None:
        return None
    array = as_numpy(sample_weight, "sample_weight").astype(np.float64)
    if array.shape != (rows,):
        raise InvalidInputError(
            f"sample_weight must have one weight a row, shape ({rows},), got shape {array.shape}"
        )
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"sample_weight must be finite and not negative, got {array[row]} in row {row}"
        )
    if not array.any():
        raise InvalidInputError("sample_weight must not be all zero: no row would count")
    return array


def check_class_weight(weight: Array | None, classes: int) -> npt.NDArray[np.float64] | None:
    """One finite weight a class, none negative; None stays None."""
    if weight is None:
        return None
    array = as_float_array(weight, "weight").astype(np.float64)
    if array.shape != (classes,):
        raise InvalidInputError(
            f"weight must hold one number a class, shape ({classes},), got shape {array.shape}"
        )
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        raise InvalidInputError(
            f"weight must be finite and not negative, got {array[wrong[0]]} for class {wrong[0]}"
        )
    return array
