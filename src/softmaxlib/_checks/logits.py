"""Logits and probabilities."""

from typing import Any

import numpy as np

from .. import _kernels
from .._arrays import (
    Array,
    Axis,
    FloatArray,
    as_numpy,
    bring,
    check_axis,
    check_real_dtype,
    dtype_name,
    foreign_namespace,
    real_operands,
    take_masks,
    two_columns,
)
from ..errors import InvalidInputError, UnsupportedTypeError

# By half a unit in the last place: relative to a number, and of the smallest numbers.
_ROUNDING = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 2.0**-134)}
_REPAIR = "drop the row or repair the model that produced it"
_NO_FIGURES = (None,) * 6  # of the kernel: the rows are only looked at


def as_float_array(values: Array, name: str) -> FloatArray:
    """Return a NumPy array of a floating type; integers become float64, any other type is refused."""
    array = as_numpy(values, name)
    if array.dtype.kind not in "iuf":
        _refuse_columns(values, name)
    check_real_dtype(array.dtype, name)
    return array.astype(np.float64) if array.dtype.kind in "iu" else array


def _refuse_columns(values: Array, name: str) -> None:
    """Raise if a frame has a column that holds no real numbers, and name it."""
    for column in getattr(values, "columns", ()):
        dtype = np.asarray(values[column]).dtype
        if dtype.kind not in "iuf":
            raise UnsupportedTypeError(
                f"{name} must be real numbers, got dtype {dtype_name(dtype)} in column {str(column)!r}; "
                "leave out columns that are no logits, or convert them to float32 or float64"
            )


def check_rows(values: Array, name: str = "logits", *, probabilities: bool = False) -> FloatArray:
    """Return real numbers (rows, classes) as a float32 or float64 array, finite or not.

    One number a row, shape (rows,) or (rows, 1), is of a binary model's second class: a logit x stands for
    the row ``[0, x]``, a probability p for ``[1 - p, p]``.
    """
    array = _native(values, name)
    if array.ndim == 2:
        return array
    _check_finite_scores(array, name)
    outside = (array < 0) | (array > 1)
    if probabilities and outside.any():
        row = int(np.argmax(outside))
        raise InvalidInputError(
            f"{name} must lie between 0 and 1, got {array[row]} in row {row}; if these are logits, apply "
            "softmaxlib.sigmoid first"
        )
    return two_columns(array, probabilities=probabilities)


def _native(values: Array, name: str) -> FloatArray:
    """Return a native float32 or float64 array (rows, classes), or (rows,) for a binary model."""
    array = as_float_array(values, name)
    if array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    if array.ndim not in (1, 2):
        raise InvalidInputError(
            f"{name} must have two dimensions (rows, classes), or one (rows,) for a binary model, got shape "
            f"{array.shape}"
        )
    if array.size == 0:
        raise InvalidInputError(f"{name} must have at least one row and one class, got shape {array.shape}")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array[:, 0] if array.shape[1:] == (1,) else array


def described_shape(given: Array, rows: FloatArray) -> str:
    """Return the shape for a message. One number per row is said to be that of a binary model."""
    shape = np.shape(given)
    if len(shape) != 1:
        return f"shape {rows.shape}"
    return (
        f"shape {shape}, which means {shape[0]} rows of a binary model with one number each; to pass one row "
        "of several classes, make it two-dimensional: logits[None, :]"
    )


def _check_finite_scores(scores: FloatArray, name: str) -> None:
    finite = np.isfinite(scores)
    if not finite.all():
        row = int(np.argmin(finite))
        raise InvalidInputError(f"{name} must be finite, got {scores[row]} at row {row}; {_REPAIR}")


def check_logits(logits: Array, name: str = "logits") -> FloatArray:
    """Return finite real logits (rows, classes) as a float32 or float64 array.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.
    InvalidInputError
        For another number of dimensions than `check_rows` takes, no rows, or a logit that is not finite.
    """
    array = check_rows(logits, name)
    if first_wrong(array) >= 0:
        refuse_infinite(array, name)
    return array


def refuse_infinite(array: FloatArray, name: str = "logits") -> None:
    """Raise if one of the rows (rows, classes) is not finite; the message says which."""
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InvalidInputError(
            f"{name} must be finite, got {array[row, column]} at row {row}, column {column}; {_REPAIR}"
        )


def first_wrong(array: FloatArray, sum_tolerance: float | None = None) -> int:
    """Return the first of checked rows (rows, classes) that is not finite, or -1.

    With a tolerance, return the first row that is not a distribution. At the edge of the tolerance
    `find_improbable` may judge a row otherwise, and decides.
    """
    if sum_tolerance is None:
        return _kernels.score(array, False, 0.0, None, _NO_FIGURES)
    return _kernels.score(array, True, sum_tolerance, None, _NO_FIGURES)


def check_probabilities(probabilities: Array, name: str = "probabilities") -> FloatArray:
    """Return rows of probabilities (rows, classes), each in [0, 1], with sum 1 but for rounding."""
    array = check_rows(probabilities, name, probabilities=True)
    tolerance = tolerance_of(probabilities, array)
    if first_wrong(array, tolerance) >= 0:
        refuse_improbable(array, tolerance, name)
    return array


def refuse_improbable(array: FloatArray, tolerance: float, name: str = "probabilities") -> None:
    """Raise if one of the rows (rows, classes) is not a distribution; the message says which."""
    refuse_infinite(array, name)
    fault = find_improbable(array, name, tolerance)
    if fault is not None:
        row, rule = fault
        advice = "if these are logits, apply softmaxlib.softmax first"
        rounded = rounded_advice(array[row].sum(dtype=np.float64), array.shape[1])
        if rounded and array[row].min() >= 0 and array[row].max() <= 1:
            advice = "divide the row by its sum" + rounded
        raise InvalidInputError(f"{rule} in row {row}; {advice}")


def sum_tolerance(dtype: Any, classes: int) -> float:
    """Return how far the sum of a row of probabilities may be from 1: 1e-3 plus rounding in their dtype."""
    relative, absolute = _ROUNDING.get(dtype_name(dtype), (0.0, 0.0))
    return 1e-3 + relative + classes * absolute


def rounded_advice(total: float, classes: int) -> str:
    """Return what to do where a sum is as near to 1 as that of rounded probabilities, else nothing."""
    if not abs(total - 1) <= sum_tolerance("bfloat16", classes):
        return ""
    return ", or pass probabilities that were rounded to bfloat16 or float16 in that dtype"


def tolerance_of(given: Array, checked: FloatArray) -> float:
    """Return `sum_tolerance` for checked rows (rows, classes), by the dtype in which they were given."""
    return sum_tolerance(getattr(given, "dtype", checked.dtype), checked.shape[1])


def find_improbable(array: FloatArray, name: str, tolerance: float = 1e-3) -> tuple[int, str] | None:
    """Return the first row (rows, classes) that is not a distribution, and the rule that it breaks."""
    low = array.min(axis=1)
    high = array.max(axis=1)
    outside = np.flatnonzero((low < 0) | (high > 1 + 1e-6))
    if outside.size:
        row = int(outside[0])
        return row, f"{name} must lie between 0 and 1, got {low[row]} to {high[row]}"
    total = array.sum(axis=1, dtype=np.float64)
    wrong = np.flatnonzero(np.abs(total - 1) > tolerance)
    if wrong.size:
        row = int(wrong[0])
        return row, f"each row of {name} must sum to 1, got {total[row]:.6g}"
    return None


def check_sink(sink: Array, x: Array, axis: Axis) -> Array:
    """Return the sinks, one per row, with 1 on the axes of the classes; float64 (NumPy) or as ``x`` is."""
    namespace = foreign_namespace(x)
    like = as_numpy(take_masks({"x": x}, None)[0]["x"], "x") if namespace is None else x
    axes = check_axis(axis, like.ndim)
    shape = tuple(1 if d in axes else n for d, n in enumerate(like.shape))
    if namespace is None:
        values = real_operands({"sink": as_numpy(sink, "sink")}).arrays[0].astype(np.float64)
    else:
        values = real_operands({"sink": bring(namespace, sink, like, "sink")}).arrays[0]
    try:
        return np.broadcast_to(values, shape) if namespace is None else namespace.broadcast_to(values, shape)
    except (ValueError, RuntimeError):
        raise InvalidInputError(
            f"sink must broadcast to one logit per row, shape {shape}, got shape {tuple(values.shape)}"
        ) from None
