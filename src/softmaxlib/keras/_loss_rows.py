"""The rows of a loss: their targets, which of them count, and the reduction of their losses."""

from typing import Any, NamedTuple

from keras import ops
from keras.src.losses.loss import reduce_weighted_values

from .._checks import check_target_shape, row_shape
from . import _namespace

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class RowLosses(NamedTuple):
    """The losses of rows, the weights of their labels, and which rows count (None: all)."""

    losses: Any
    weight: Any
    counted: Any


def as_target(target: Any, logits: Any, axis: int, ignore_index: int | None) -> Any:
    """Return class indices of the shape of the rows, or class probabilities of that of the logits.

    Indices may have a class axis of length 1. Lengths that are known only when a graph runs fit any other.
    """
    target = _namespace.as_tensor(target, "y_true")
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
        return _namespace.as_index(target)
    return ops.cast(target, logits.dtype)


def reduce_rows(rows: RowLosses, sample_weight: Any, reduction: Any, *, by_class: bool) -> Any:
    """Reduce row losses as Keras does. With ``by_class``, means divide by the weights of the labels."""
    dtype = _namespace.standard_dtype(rows.losses.dtype)
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
