"""The one place that asks: whose array is this, which axis, which dtype, which rows.

Everything above this file receives what it checked and asks none of it again.
"""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InvalidInputError, UnsupportedTypeError

Array = Any
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

_FOREIGN = ("torch", "jax", "cupy", "dask.array", "array_api_strict", "ndonnx", "sparse")


def foreign_namespace(*arrays: Array) -> ModuleType | None:
    """The array-API namespace of the first array that is not NumPy's, or None.

    Nothing is imported before the user has: an array of another library can only exist once its
    library is in ``sys.modules``.
    """
    for array in arrays:
        if array is None or isinstance(array, (np.ndarray, np.generic, float, int, list, tuple)):
            continue
        if hasattr(array, "__array_namespace__") or type(array).__module__.split(".")[0] in _FOREIGN:
            if not any(name in sys.modules for name in _FOREIGN):
                continue
            from array_api_compat import array_namespace, is_numpy_namespace

            namespace = array_namespace(array)
            if not is_numpy_namespace(namespace):
                return namespace
    return None


def check_logits(logits: Array, name: str = "logits") -> FloatArray:
    """Finite real logits (rows, classes) as a float32 or float64 array.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.
    InvalidInputError
        When not two-dimensional, without rows or with fewer than two classes, or not finite.
    """
    array = _as_numpy(logits, name)
    if array.dtype.kind in "iu":
        array = array.astype(np.float64)
    elif array.dtype.kind == "f" and array.dtype.itemsize < 4 or array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    elif array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif array.dtype.kind != "f":
        raise UnsupportedTypeError(
            f"{name} must be real numbers, got dtype {array.dtype}; convert with .astype(float)"
        )
    if array.ndim != 2:
        raise InvalidInputError(
            f"{name} must have two dimensions (rows, classes), got shape {array.shape}; "
            "reshape a single row with [None, :]"
        )
    if array.shape[0] == 0 or array.shape[1] < 2:
        raise InvalidInputError(
            f"{name} must have at least one row and two classes, got shape {array.shape}"
        )
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InvalidInputError(
            f"{name} must be finite, got {array[row, column]} at row {row}, column {column}; "
            "drop the row or repair the model that produced it"
        )
    return array


def check_probabilities(probabilities: Array, name: str = "probabilities") -> FloatArray:
    """Rows of probabilities (rows, classes): each in [0, 1], each row with sum 1 to 1e-3."""
    array = check_logits(probabilities, name)
    low = array.min(axis=1)
    high = array.max(axis=1)
    if (low < 0).any() or (high > 1 + 1e-6).any():
        row = int(np.flatnonzero((low < 0) | (high > 1 + 1e-6))[0])
        raise InvalidInputError(
            f"{name} must lie between 0 and 1, got {array[row].min()} to {array[row].max()} in row {row}; "
            "if these are logits, apply softmaxlib.softmax first"
        )
    total = array.sum(axis=1, dtype=np.float64)
    wrong = np.abs(total - 1) > 1e-3
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"each row of {name} must sum to 1, got {total[row]:.6g} in row {row}; "
            "if these are logits, apply softmaxlib.softmax first"
        )
    return array


def check_labels(labels: Array, rows: int, classes: int, name: str = "labels") -> IntArray:
    """Class indices (rows,) in [0, classes), as int64."""
    array = _as_numpy(labels, name)
    if array.shape != (rows,):
        raise InvalidInputError(
            f"{name} must have one class index a row, shape ({rows},), got shape {array.shape}"
        )
    if array.dtype.kind == "f" and np.equal(np.mod(array, 1), 0).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise UnsupportedTypeError(
            f"{name} must be integer class indices, got dtype {array.dtype}; "
            "map class names to their column numbers first"
        )
    outside = (array < 0) | (array >= classes)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"{name} must lie in 0 to {classes - 1} ({classes} classes), got {array[row]} in row {row}"
        )
    return array.astype(np.int64, copy=False)


def check_sample_weight(sample_weight: Array | None, rows: int) -> npt.NDArray[np.float64] | None:
    """Weights (rows,), finite, none negative, not all zero; None stays None."""
    if sample_weight is None:
        return None
    array = _as_numpy(sample_weight, "sample_weight").astype(np.float64)
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


def _as_numpy(values: Array, name: str) -> npt.NDArray[Any]:
    if hasattr(values, "detach"):  # a torch tensor that requires grad refuses __array__
        values = values.detach().cpu()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise InvalidInputError(f"{name} must be a rectangular array, got {error}") from None
