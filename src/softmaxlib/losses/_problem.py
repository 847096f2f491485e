"""What a cross-entropy call means once its arguments are checked: rows of logits, targets and options."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, as_numpy, check_real
from ..errors import InvalidInputError, UnsupportedTypeError
from ._exact_sum import exact_sum

Axis = int | tuple[int, ...] | None
Reduction = Literal["mean", "sum", "none"]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `cross_entropy`, the numbers among them checked."""

    axis: Axis
    weight: Array | None
    label_smoothing: float
    ignore_index: int | None
    focal_gamma: float
    z_loss: float
    where: Array | None
    reduction: Reduction

    def __post_init__(self) -> None:
        check_label_smoothing(self.label_smoothing)
        check_nonnegative(self.focal_gamma, "focal_gamma")
        check_nonnegative(self.z_loss, "z_loss")


@dataclass(frozen=True)
class Problem:
    """Rows of logits with their targets; everything checked, the classes on the last axis.

    Exactly one of ``label`` and ``distribution`` is set. A row that is not ``counted`` has label 0.
    """

    logits: FloatArray
    label: npt.NDArray[np.int64] | None
    distribution: FloatArray | None
    counted: BoolArray | None
    where: BoolArray | None
    weight: npt.NDArray[np.float64] | None
    options: Options
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of the logits without the class axes."""
        return row_shape(self.shape, self.axes)

    @property
    def work_dtype(self) -> np.dtype[Any]:
        """The type that rows are computed in: float64, or the logits' own when that is wider."""
        return np.dtype(np.float64) if self.dtype.itemsize <= 8 else self.dtype

    def denominator(self) -> float:
        """What the sum of the row losses is divided by: 1 unless the reduction is a mean."""
        if self.options.reduction != "mean":
            return 1.0
        if self.label is None or self.weight is None:
            rows = self.logits.shape[0]
            return float(rows if self.counted is None else np.count_nonzero(self.counted))
        row_weight = self.weight[self.label]
        return exact_sum(row_weight if self.counted is None else row_weight[self.counted])


def cross_entropy_problem(logits: Array, target: Array, options: Options) -> Problem:
    """Check every argument of a cross-entropy and bring the classes to the last axis of rows."""
    array = as_float_array(logits, "logits")
    axes = class_axes(array.ndim, options.axis)
    classes = math.prod(array.shape[position] for position in axes)
    check_classes(classes, array.shape, options.axis)
    label, distribution, counted = _check_target(target, array, axes, classes, options.ignore_index)
    return Problem(
        logits=rows_of_classes(array, axes, classes),
        label=label,
        distribution=distribution,
        counted=counted,
        where=_check_where(options.where, array.shape, axes, classes),
        weight=check_class_weight(options.weight, classes),
        options=options,
        axes=axes,
        shape=array.shape,
        dtype=array.dtype.newbyteorder("="),
    )


def as_float_array(values: Array, name: str) -> FloatArray:
    """A NumPy array of a floating type; integers become float64, any other type is refused."""
    array = as_numpy(values, name)
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise UnsupportedTypeError(
            f"{name} must be real numbers, got dtype {array.dtype}; convert with .astype(float)"
        )
    return array


def class_axes(dimensions: int, axis: Axis) -> tuple[int, ...]:
    """The axes that hold the classes, in rising order."""
    if axis is None:
        return tuple(range(dimensions))
    given = axis if isinstance(axis, tuple) else (axis,)
    from numpy.lib.array_utils import normalize_axis_index

    axes = sorted(normalize_axis_index(position, dimensions) for position in given)
    if len(set(axes)) != len(axes):
        raise InvalidInputError(f"axis must not name an axis twice, got {axis}")
    return tuple(axes)


def row_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the logits without the class axes."""
    return tuple(size for position, size in enumerate(shape) if position not in axes)


def check_classes(classes: int, shape: tuple[int, ...], axis: Axis) -> None:
    """Refuse rows of nothing."""
    if classes == 0:
        raise InvalidInputError(f"logits must have at least one class along axis {axis}, got shape {shape}")


def rows_of_classes(array: npt.NDArray[Any], axes: tuple[int, ...], classes: int) -> npt.NDArray[Any]:
    """The array as (rows, classes): a view where its strides allow."""
    last = tuple(range(array.ndim - len(axes), array.ndim))
    return np.moveaxis(array, axes, last).reshape(-1, classes)


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


def check_label_smoothing(value: float) -> None:
    """A share of the target in [0, 1)."""
    if not 0 <= check_real(value, "label_smoothing") < 1:
        raise InvalidInputError(
            f"label_smoothing must lie in [0, 1), got {value}; 0 leaves the targets as they are"
        )


def check_nonnegative(value: float, name: str) -> None:
    """A finite number, zero or more."""
    if not (0 <= check_real(value, name) < math.inf):
        raise InvalidInputError(f"{name} must be finite and not negative, got {value}; 0 turns it off")


def check_reduction(reduction: str) -> Reduction:
    """One of the three reductions."""
    if reduction not in ("mean", "sum", "none"):
        raise InvalidInputError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


def check_layer_shapes(
    features: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...] | None, target: tuple[int, ...]
) -> None:
    """That features, weight, bias and target are those of one linear layer."""
    if len(features) < 1 or len(weight) != 2 or features[-1] != weight[1] or weight[0] == 0:
        raise InvalidInputError(
            "features must have shape (..., D) and weight (K, D) with one D and K > 0, got shapes "
            f"{features} and {weight}"
        )
    if bias is not None and bias != weight[:1]:
        raise InvalidInputError(f"bias must hold one number a class, shape ({weight[0]},), got {bias}")
    if target != features[:-1]:
        raise InvalidInputError(
            f"target must be class indices of the shape of features without the last axis, "
            f"{features[:-1]}, got shape {target}"
        )


def check_softcap(softcap: float | None) -> None:
    """None, or finite and above 0."""
    if softcap is not None and not 0 < check_real(softcap, "softcap") < np.inf:
        raise InvalidInputError(
            f"softcap must be finite and greater than 0, got {softcap}; None turns it off"
        )


def rows_of_logits(memory_budget: int, classes: int, itemsize: int) -> int:
    """How many rows of logits the budget holds."""
    row = max(1, classes * itemsize)
    if memory_budget < row:
        raise InvalidInputError(
            f"memory_budget must hold one row of logits, {row} bytes, got {memory_budget}; raise it"
        )
    return int(memory_budget // row)


def check_index_target(
    target: npt.NDArray[Any], classes: int, ignore_index: int | None
) -> tuple[npt.NDArray[np.int64], BoolArray | None]:
    """Labels in [0, classes) as (rows,), and which rows count (None: all)."""
    if target.dtype.kind not in "iu":
        raise UnsupportedTypeError(
            f"target must be integer class indices, got dtype {target.dtype}; "
            "for class probabilities give an array of the shape of logits"
        )
    counted = None if ignore_index is None else (target != ignore_index)
    label = (target if counted is None else np.where(counted, target, 0)).astype(np.int64).reshape(-1)
    # Seen as unsigned, a negative label is a large one: one look at each.
    if label.size and label.view(np.uint64).max() >= classes:
        outside = (target < 0) | (target >= classes)
        if counted is not None:
            outside &= counted
        place = tuple(int(position) for position in np.argwhere(outside)[0])
        raise InvalidInputError(
            f"target must lie in 0 to {classes - 1} ({classes} classes), got {target[place]} "
            f"in row {place[0] if len(place) == 1 else place}; {_ignore_hint(ignore_index)}"
        )
    return label, None if counted is None else counted.reshape(-1)


def _ignore_hint(ignore_index: int | None) -> str:
    if ignore_index is None:
        return "to leave rows out, give their label as ignore_index"
    return f"only ignore_index={ignore_index} leaves a row out"


def _check_target(
    target: Array,
    logits: FloatArray,
    axes: tuple[int, ...],
    classes: int,
    ignore_index: int | None,
) -> tuple[npt.NDArray[np.int64] | None, FloatArray | None, BoolArray | None]:
    array = as_numpy(target, "target")
    if check_target_shape(array.shape, logits.shape, row_shape(logits.shape, axes), ignore_index):
        if array.size == 0 and array.dtype == np.float64 and not isinstance(target, np.ndarray):
            array = array.astype(np.int64)  # an empty list has no type of its own
        label, counted = check_index_target(array, classes, ignore_index)
        return label, None, counted
    return None, check_distribution(array, axes, classes), None


def check_target_shape(
    shape: tuple[int, ...], logits: tuple[int, ...], rows: tuple[int, ...], ignore_index: int | None
) -> bool:
    """Whether a target of this shape holds class indices; if not, it holds class probabilities."""
    if shape == rows:
        return True
    if shape != logits:
        raise InvalidInputError(
            f"target must be class indices of shape {rows} or class probabilities of shape {logits}, "
            f"got shape {shape}"
        )
    if ignore_index is not None:
        raise InvalidInputError(
            "ignore_index needs class indices, got a target of class probabilities; "
            "drop the rows instead, or give class indices"
        )
    return False


def check_distribution(target: npt.NDArray[Any], axes: tuple[int, ...], classes: int) -> FloatArray:
    """Class probabilities as (rows, classes)."""
    distribution = rows_of_classes(as_float_array(target, "target"), axes, classes)
    total = distribution.sum(axis=1, dtype=np.float64)
    negative: BoolArray = np.any(distribution < 0, axis=1)
    wrong = np.flatnonzero(negative | ~(np.abs(total - 1) <= 1e-3))
    if not wrong.size:
        return distribution
    row, rows = int(wrong[0]), row_shape(target.shape, axes)
    place = tuple(int(position) for position in np.unravel_index(row, rows)) if rows else ()
    found = f"the probability {distribution[row].min()}" if negative[row] else f"the sum {total[row]:.6g}"
    raise InvalidInputError(
        "each row of target must be probabilities: none negative, with sum 1 (to 1e-3); "
        f"got {found} in row {place[0] if len(place) == 1 else place}; divide the row by its sum"
    )


def _check_where(
    where: Array | None, shape: tuple[int, ...], axes: tuple[int, ...], classes: int
) -> BoolArray | None:
    if where is None:
        return None
    mask = np.asarray(where)
    if mask.dtype != np.bool_:
        raise UnsupportedTypeError(f"where must be boolean (True keeps a class), got dtype {mask.dtype}")
    try:
        mask = np.broadcast_to(mask, shape)
    except ValueError:
        raise InvalidInputError(
            f"where must broadcast to the shape of logits {shape}, got shape {mask.shape}"
        ) from None
    return rows_of_classes(mask, axes, classes)
