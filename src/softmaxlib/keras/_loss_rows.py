"""The rows of a loss: their targets, which of them count, and the reduction of their losses."""

from typing import Any, NamedTuple

import numpy as np
from keras import ops
from keras.src.losses.loss import reduce_weighted_values

from .._arrays import known_values
from .._checks import check_target_shape, first_place, row_shape, written_place
from ..errors import InvalidInputError, UnsupportedTypeError
from . import _namespace

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class RowLosses(NamedTuple):
    """The losses of rows, the weights of their labels, and which rows count (None: all)."""

    losses: Any
    weight: Any
    counted: Any


def as_target(target: Any, logits: Any, axis: int, ignore_index: int | None) -> Any:
    """Return labels of the shape of the rows, as given, or class probabilities of that of the logits.

    Labels may have a class axis of length 1. Lengths that are known only when a graph runs fit any other.
    """
    target = _namespace.as_tensor(target, "y_true")
    if _namespace.standard_dtype(target.dtype) == "bool":
        raise UnsupportedTypeError("y_true must be numbers, got dtype bool; convert it with keras.ops.cast")
    if len(target.shape) == len(logits.shape) and target.shape[axis] == 1 != logits.shape[axis]:
        target = ops.squeeze(target, axis)
    shape = tuple(logits.shape)
    rows = row_shape(shape, (axis,))
    wanted = shape if len(target.shape) == len(shape) else rows
    known = tuple(target.shape)
    if len(known) == len(wanted):
        known = tuple(
            other if None in (one, other) else one for one, other in zip(known, wanted, strict=True)
        )
    if check_target_shape(known, shape, rows, ignore_index):
        return target
    return ops.cast(target, logits.dtype)


def check_whole_labels(labels: Any, mask: Any, classes: int) -> None:
    """Check that labels given as floats are whole, if their values are known. Masked rows are not checked."""
    if not _namespace.is_floating(labels.dtype):
        return
    values = known_values(labels, "y_true")
    counted = True if mask is None else known_values(mask, "mask")
    if values is None or counted is None:
        return
    values = values.astype(np.float64)
    wrong = np.asarray(~(np.isfinite(values) & (values == np.floor(values))) & counted)
    if wrong.any():
        place = first_place(wrong)
        raise InvalidInputError(
            f"target must be whole numbers in 0 to {classes - 1} ({classes} classes), got {values[place]} "
            f"in row {written_place(place)}; to leave a row out, give it a whole label, such as -1, as "
            "ignore_index"
        )


def reduce_rows(rows: RowLosses, sample_weight: Any, reduction: Any, *, by_class: bool) -> Any:
    """Reduce row losses as Keras does. With ``by_class``, means divide by the weights of the labels."""
    dtype = _namespace.standard_dtype(rows.losses.dtype)
    if sample_weight is not None:
        sample_weight = _namespace.as_tensor(sample_weight, "sample_weight")
    loss: Any = reduce_weighted_values(
        rows.losses, sample_weight=sample_weight, mask=rows.counted, reduction=reduction, dtype=dtype
    )
    if not by_class or reduction not in MEANS:
        return loss
    # Keras divides by how many rows count
    share: Any = ops.ones_like(rows.losses) if rows.counted is None else ops.cast(rows.counted, dtype)
    if reduction == "mean_with_sample_weight":
        share = reduce_weighted_values(share, sample_weight=sample_weight, reduction="none", dtype=dtype)
    return ops.divide_no_nan(loss * ops.sum(share), ops.sum(share * rows.weight))
