"""Weights of rows and of classes."""

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy, check_real_dtype, known_values
from ..errors import InvalidInputError
from .logits import as_float_array

_LARGEST_EXPONENT = 400  # of two: squares of weights, and sums of them, are numbers still
# losses, their sums and their gradients stay within the range of float64
_SMALLEST_WEIGHT, _LARGEST_WEIGHT = 1e-100, 1e100
_FEWEST_COUNTED = 0.25  # of the rows: fewer are hardly meant
_LEAST_TOTAL = 1e-6


def check_sample_weight(sample_weight: Array | None, rows: int) -> npt.NDArray[np.float64] | None:
    """Check and return weights (rows,): finite, not negative, not all zero. None stays None."""
    if sample_weight is None:
        return None
    array = _check_weights(sample_weight, rows)
    if not array.any():
        raise InvalidInputError("sample_weight must not be all zero: no row would count")
    return _within_range(array)


def check_batch_weight(sample_weight: Array | None, rows: int) -> npt.NDArray[np.float64] | None:
    """Check and return the weights of one of several batches, which may all be 0. None stays None.

    Sums of batches are added up, so that no batch can be scaled by itself.
    """
    if sample_weight is None:
        return None
    array = _check_weights(sample_weight, rows)
    extreme = _extreme(array)
    if extreme.size:
        row = int(extreme[0])
        raise InvalidInputError(
            f"sample_weight must be 0, or lie between {_SMALLEST_WEIGHT:g} and {_LARGEST_WEIGHT:g}, got "
            f"{array[row]} in row {row}; multiply all weights by one number"
        )
    return array


def describe_few_counted(total: float, rows: int, what: str) -> str | None:
    """Return a warning for what depends on the number of rows, if their weights count far fewer; else None.

    Parameters
    ----------
    total, rows
        The sum of the weights, and the number of rows with a weight above 0.
    what
        What depends on the number of rows.
    """
    if total >= _FEWEST_COUNTED * rows:
        return None
    # a smaller sum may be one of scaled weights
    amount = f"{total:.4g}" if total >= _LEAST_TOTAL else f"below {_LEAST_TOTAL:g}"
    return (
        f"sample_weight says how many rows each row counts for in {what}, and its sum is {amount} for "
        f"{rows:,} rows; multiply all weights by the number of rows over their sum, unless the rows are "
        "meant to count as so few"
    )


def _extreme(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the places of weights that are not 0 and lie outside the range."""
    return np.flatnonzero((weights > _LARGEST_WEIGHT) | ((weights != 0) & (weights < _SMALLEST_WEIGHT)))


def _check_weights(sample_weight: Array, rows: int) -> npt.NDArray[np.float64]:
    array = as_numpy(sample_weight, "sample_weight")
    if array.dtype != np.bool_:
        check_real_dtype(array.dtype, "sample_weight")
    array = array.astype(np.float64)
    if array.shape != (rows,):
        raise InvalidInputError(
            f"sample_weight must have one weight per row, shape ({rows},), got shape {array.shape}"
        )
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"sample_weight must be finite and not negative, got {array[row]} in row {row}"
        )
    return array


def _within_range(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scale extreme weights by a power of two, so that products and sums stay finite."""
    exponent = int(np.frexp(weights.max())[1])
    if abs(exponent) <= _LARGEST_EXPONENT:
        return weights
    return np.ldexp(weights, (_LARGEST_EXPONENT if exponent > 0 else -_LARGEST_EXPONENT) - exponent)


def check_class_weight_shape(weight: Array | None, classes: int) -> None:
    """Check that there is one number per class, in any array or list, or None."""
    if isinstance(weight, (list, tuple)):
        weight = as_numpy(weight, "class_weight")
    shape = None if weight is None else tuple(np.shape(weight))
    if shape not in (None, (classes,)):
        raise InvalidInputError(
            f"class_weight must hold one number per class, shape ({classes},), got shape {shape}"
        )


def check_known_class_weight(weight: Array | None, classes: int) -> None:
    """Check weights of any library, unless a framework that traces hides them; None passes."""
    check_class_weight_shape(weight, classes)
    if weight is not None and known_values(weight, "class_weight") is not None:
        check_class_weight(weight, classes)


def check_class_weight(weight: Array | None, classes: int) -> npt.NDArray[np.float64] | None:
    """Check and return one weight per class: finite, not negative, not extreme. None stays None."""
    if weight is None:
        return None
    array = as_float_array(weight, "class_weight").astype(np.float64)
    check_class_weight_shape(array, classes)
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if wrong.size:
        raise InvalidInputError(
            f"class_weight must be finite and not negative, got {array[wrong[0]]} for class {wrong[0]}"
        )
    extreme = _extreme(array)
    if extreme.size:
        raise InvalidInputError(
            f"class_weight must be 0 or lie in {_SMALLEST_WEIGHT} to {_LARGEST_WEIGHT}, got "
            f"{array[extreme[0]]} for class {extreme[0]}; divide all weights by one number"
        )
    return array
