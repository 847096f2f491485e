"""The checked arguments of a binary cross-entropy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import (
    Array,
    FloatArray,
    as_numpy,
    broadcasts_to,
    check_real_dtype,
    check_where,
    dtype_name,
    take_masks,
)
from .._checks import (
    BoolArray,
    Reduction,
    as_float_array,
    check_label_smoothing,
    check_nonnegative,
    first_place,
    written_place,
)
from ..errors import InvalidInputError, UnsupportedTypeError

_BLOCK = 1 << 17  # elements per block: the temporaries stay in the second-level cache

Index = tuple[int | slice, ...]


@dataclass(frozen=True)
class SigmoidLossOptions:
    """The keyword arguments of `sigmoid_cross_entropy`, with checked numbers."""

    weight: Array | None
    pos_weight: Array | None
    label_smoothing: float
    focal_gamma: float
    where: Array | None
    reduction: Reduction

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_smoothing", check_label_smoothing(self.label_smoothing))
        object.__setattr__(self, "focal_gamma", check_nonnegative(self.focal_gamma, "focal_gamma"))


@dataclass(frozen=True)
class SigmoidLossArguments:
    """Checked NumPy arrays. Those of the options are broadcast to the shape of the logits."""

    logits: FloatArray
    target: npt.NDArray[Any]
    weight: npt.NDArray[np.float64] | None
    pos_weight: npt.NDArray[np.float64] | None
    where: BoolArray | None
    options: SigmoidLossOptions

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the results, in native byte order."""
        return self.logits.dtype.newbyteorder("=")

    def denominator(self) -> float:
        """Return the divisor of the sum of the losses: 1 unless the reduction is a mean."""
        if self.options.reduction != "mean":
            return 1.0
        return float(self.logits.size if self.where is None else np.count_nonzero(self.where))

    def factors(self, index: Index) -> tuple[FloatArray | None, FloatArray | None]:
        """Return the weights of the positive and the negative outcome in a block. None means 1."""
        weight = None if self.weight is None else self.weight[index].reshape(-1)
        positive = None if self.pos_weight is None else _flat(self.pos_weight[index])
        if self.where is not None:
            counted = self.where[index].reshape(-1)
            weight = np.where(counted, 1.0 if weight is None else weight, 0.0)
        if positive is None or weight is None:
            return (weight if positive is None else positive), weight
        return positive * weight, weight


def check_sigmoid_arguments(
    logits: Array, target: Array, options: SigmoidLossOptions
) -> SigmoidLossArguments:
    """Check all arguments of a binary cross-entropy of NumPy arrays."""
    plain, where = take_masks({"logits": logits}, options.where)
    array = as_float_array(plain["logits"], "logits")
    if array.dtype.itemsize > 8:
        raise UnsupportedTypeError(
            f"logits must be real numbers of at most 64 bits, got dtype {array.dtype.name}; "
            "convert them to float64"
        )
    weights = (options.weight, options.pos_weight)
    weight, pos_weight = (
        None if one is None else np.broadcast_to(check_element_weight(one, array.shape, name), array.shape)
        for one, name in zip(weights, ("weight", "pos_weight"), strict=True)
    )
    where = check_where(where, array)
    return SigmoidLossArguments(
        array, check_binary_target(target, array.shape, where), weight, pos_weight, where, options
    )


def check_binary_target(
    target: Array, shape: tuple[int, ...], where: BoolArray | None = None
) -> npt.NDArray[Any]:
    """Check that targets are in [0, 1] or bool, with the shape of the logits. Masked targets are free."""
    array = as_numpy(target, "target")
    check_binary_target_dtype(array.dtype)
    if array.shape != shape:
        raise InvalidInputError(
            f"target must have the shape of logits, {shape}, got {array.shape}; "
            "give each logit its own target"
        )
    if array.dtype != np.bool_:
        wrong = ~((array >= 0) & (array <= 1))
        wrong = wrong if where is None else wrong & where
        if wrong.any():
            raise InvalidInputError(
                f"target must lie in 0 to 1, got {_at(array, wrong)}; "
                "for class indices of more than two classes use cross_entropy"
            )
    return array


def check_binary_target_dtype(dtype: Any) -> None:
    """Reject a target that is neither bool nor real, of any library."""
    if dtype_name(dtype) != "bool":
        check_real_dtype(dtype, "target")


def check_element_weight(weight: Array, shape: tuple[int, ...], name: str) -> npt.NDArray[np.float64]:
    """Check that weights are finite, not negative, and broadcast to the logits."""
    array = as_float_array(weight, name).astype(np.float64)
    check_element_weight_shape(array.shape, shape, name)
    wrong = ~(np.isfinite(array) & (array >= 0))
    if wrong.any():
        raise InvalidInputError(f"{name} must be finite and not negative, got {_at(array, wrong)}")
    return array


def check_element_weight_shape(given: tuple[int, ...], shape: tuple[int, ...], name: str) -> None:
    """Reject weights whose shape does not broadcast to that of the logits."""
    if not broadcasts_to(given, shape):
        raise InvalidInputError(
            f"{name} must broadcast to the shape of logits, {shape}, got shape {given}; "
            "give one number, or one for each label"
        )


def blocks(shape: tuple[int, ...]) -> Iterator[Index]:
    """Yield indices of parts of an array of this shape, in C order, each small enough."""
    inner = int(np.prod(shape[1:]))
    if not shape or shape[0] * inner <= _BLOCK:
        yield ()
    elif inner <= _BLOCK:
        step = _BLOCK // inner
        for start in range(0, shape[0], step):
            yield (slice(start, start + step),)
    else:
        for first in range(shape[0]):
            for rest in blocks(shape[1:]):
                yield (first, *rest)


def _flat(part: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the part along one axis. A broadcast number is not copied."""
    if part.size and not any(part.strides):
        return np.broadcast_to(part[(0,) * part.ndim], (part.size,))
    return part.reshape(-1)


def _at(array: npt.NDArray[Any], wrong: npt.NDArray[np.bool_]) -> str:
    """Return the first wrong number and its position."""
    place = first_place(wrong)
    return f"{array[place]}" + (f" at {written_place(place)}" if place else "")
