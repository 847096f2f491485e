"""The checked arguments of a cross-entropy call: rows of logits, targets and options."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Array, Axis, FloatArray, as_numpy, check_axis, check_where, take_masks
from .._checks import (
    BoolArray,
    Reduction,
    as_float_array,
    check_class_weight,
    check_distribution,
    check_ignore_index,
    check_index_target,
    check_label_smoothing,
    check_loss_shapes,
    check_nonnegative,
    row_shape,
    rows_of_classes,
)
from ._exact_sum import exact_sum


@dataclass(frozen=True)
class LossOptions:
    """The keyword arguments of `cross_entropy`, with checked numbers."""

    axis: Axis
    class_weight: Array | None
    label_smoothing: float
    ignore_index: int | None
    focal_gamma: float
    z_loss: float
    where: Array | None
    reduction: Reduction

    def __post_init__(self) -> None:
        for name, number in (
            ("label_smoothing", check_label_smoothing(self.label_smoothing)),
            ("focal_gamma", check_nonnegative(self.focal_gamma, "focal_gamma")),
            ("z_loss", check_nonnegative(self.z_loss, "z_loss")),
            ("ignore_index", check_ignore_index(self.ignore_index)),
        ):
            object.__setattr__(self, name, number)


@dataclass(frozen=True)
class LossArguments:
    """Checked rows of logits with their targets. The classes are on the last axis.

    Exactly one of ``label`` and ``distribution`` is set. A row that is not ``counted`` has label 0.
    """

    logits: FloatArray
    label: npt.NDArray[np.int64] | None
    distribution: FloatArray | None
    counted: BoolArray | None
    where: BoolArray | None
    class_weight: npt.NDArray[np.float64] | None
    options: LossOptions
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of the logits without the class axes."""
        return row_shape(self.shape, self.axes)

    @property
    def work_dtype(self) -> np.dtype[Any]:
        """The dtype of the computation: float64, or that of the logits if it is wider."""
        return np.dtype(np.float64) if self.dtype.itemsize <= 8 else self.dtype

    def denominator(self) -> float:
        """Return the divisor of the sum of the row losses: 1 unless the reduction is a mean."""
        if self.options.reduction != "mean":
            return 1.0
        if self.label is None or self.class_weight is None:
            rows = self.logits.shape[0]
            return float(rows if self.counted is None else np.count_nonzero(self.counted))
        row_weight = self.class_weight[self.label]
        return exact_sum(row_weight if self.counted is None else row_weight[self.counted])


def check_loss_arguments(logits: Array, target: Array, options: LossOptions) -> LossArguments:
    """Check all arguments of a cross-entropy, and move the classes to the last axis."""
    unmasked, where = take_masks({"logits": logits}, options.where)
    array = as_float_array(unmasked["logits"], "logits")
    axes = check_axis(options.axis, array.ndim)
    classes = math.prod(array.shape[position] for position in axes)
    where = check_where(where, array)
    label, distribution, counted = _check_target(target, array, axes, options)
    return LossArguments(
        logits=rows_of_classes(array, axes, classes),
        label=label,
        distribution=distribution,
        counted=counted,
        where=None if where is None else rows_of_classes(where, axes, classes),
        class_weight=check_class_weight(options.class_weight, classes),
        options=options,
        axes=axes,
        shape=array.shape,
        dtype=array.dtype.newbyteorder("="),
    )


def _check_target(
    target: Array,
    logits: FloatArray,
    axes: tuple[int, ...],
    options: LossOptions,
) -> tuple[npt.NDArray[np.int64] | None, FloatArray | None, BoolArray | None]:
    array = as_numpy(target, "target")
    if array.size == 0 and array.dtype == np.float64 and not isinstance(target, np.ndarray):
        array = array.astype(np.int64)  # an empty list has no integer dtype
    classes = math.prod(logits.shape[position] for position in axes)
    by_index = check_loss_shapes(
        logits.shape, array.shape, array.dtype, options.class_weight, axes, options.ignore_index
    )
    if by_index:
        label, counted = check_index_target(array, classes, options.ignore_index)
        return label, None, counted
    return None, check_distribution(array, axes, classes), None
