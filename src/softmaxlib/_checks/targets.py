"""The targets of a loss: class indices or class probabilities, distinguished by their shape."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, check_real_dtype, known_values
from ..errors import InvalidInputError
from .index_targets import check_index_target, check_label_dtype
from .logits import as_float_array, rounded_advice, sum_tolerance
from .places import written_place
from .weights import check_class_weight_shape


def row_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the logits without the class axes."""
    return tuple(size for position, size in enumerate(shape) if position not in axes)


def rows_of_classes(array: npt.NDArray[Any], axes: tuple[int, ...], classes: int) -> npt.NDArray[Any]:
    """Return the array as (rows, classes): a view where its strides allow."""
    last = tuple(range(array.ndim - len(axes), array.ndim))
    return (array if axes == last else np.moveaxis(array, axes, last)).reshape(-1, classes)


def check_loss_shapes(
    logits: tuple[int, ...],
    target: tuple[int, ...],
    target_dtype: Any,
    weight: Array | None,
    axes: tuple[int, ...],
    ignore_index: int | None,
) -> bool:
    """Check that logits, a target and weights of classes of any library belong together.

    Returns
    -------
    bool
        Whether the target holds class indices; if not, it holds class probabilities.
    """
    classes = 1
    for position in axes:  # not math.prod, which torch.compile does not take
        classes *= logits[position]
    if classes == 0:
        axis = axes[0] if len(axes) == 1 else axes
        raise InvalidInputError(f"logits must have at least one class along axis {axis}, got shape {logits}")
    check_class_weight_shape(weight, classes)
    by_index = check_target_shape(target, logits, row_shape(logits, axes), ignore_index)
    if by_index:
        check_label_dtype(target_dtype, "target")
    else:
        check_real_dtype(target_dtype, "target")
    return by_index


def check_known_target(
    target: Array, axes: tuple[int, ...], classes: int, by_index: bool, ignore_index: int | None
) -> None:
    """Check labels or class probabilities of any library, unless a framework that traces hides them."""
    known = known_values(target, "target")
    if known is None:
        return
    if by_index:
        check_index_target(known, classes, ignore_index)
    else:
        check_distribution(known, axes, classes, target.dtype)


def check_target_shape(
    shape: tuple[int, ...], logits: tuple[int, ...], rows: tuple[int, ...], ignore_index: int | None
) -> bool:
    """Return True if a target of this shape holds class indices, False if class probabilities."""
    if shape == rows:
        return True
    if shape != logits:
        raise InvalidInputError(
            f"target must be class indices of shape {rows} or class probabilities of shape {logits}, "
            f"got shape {shape}"
            f"{'; pass the logits first and the target second' if len(shape) > len(logits) else ''}"
        )
    if ignore_index is not None:
        raise InvalidInputError(
            "ignore_index needs class indices, got a target of class probabilities; "
            "drop the rows instead, or give class indices"
        )
    return False


def check_distribution(
    target: npt.NDArray[Any], axes: tuple[int, ...], classes: int, dtype: Any = None
) -> FloatArray:
    """Check and return class probabilities (rows, classes). ``dtype`` is their original dtype."""
    dtype = target.dtype if dtype is None else dtype
    distribution = rows_of_classes(as_float_array(target, "target"), axes, classes)
    total = distribution.sum(axis=1, dtype=np.float64)
    negative = np.any(distribution < 0, axis=1)
    wrong = np.flatnonzero(negative | ~(np.abs(total - 1) <= sum_tolerance(dtype, classes)))
    if not wrong.size:
        return distribution
    row, rows = int(wrong[0]), row_shape(target.shape, axes)
    place = tuple(int(position) for position in np.unravel_index(row, rows)) if rows else ()
    found = f"the probability {distribution[row].min()}" if negative[row] else f"the sum {total[row]:.6g}"
    raise InvalidInputError(
        "each row of target must be probabilities: none negative, with sum 1 (to 1e-3 and the rounding of "
        f"their dtype); got {found} in row {written_place(place)}; divide the row by its sum"
        + (rounded_advice(total[row], classes) if not negative[row] else "")
    )
