"""Definitions evaluated on the arrays of any library."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from .._arrays import (
    Array,
    Axis,
    cast,
    check_axis,
    check_same_shape,
    check_where,
    device_of,
    real_operands,
    take_masks,
)


def evaluate(
    definition: Callable[..., Array],
    operands: Mapping[str, Array],
    *,
    axis: Axis = -1,
    where: Array | None = None,
    dtype: Any = None,
    **options: Any,
) -> Array:
    """Evaluate a definition along an axis, on arrays of equal shape of any library."""
    operands, where = take_masks(operands, where)
    namespace, arrays, own_dtype = real_operands(operands)
    check_same_shape(dict(zip(operands, arrays, strict=True)))
    axes = check_axis(axis, arrays[0].ndim)
    where = check_where(where, arrays[0])
    dtype = own_dtype if dtype is None else dtype
    if 0 in arrays[0].shape:
        keepdims = options.get("keepdims")
        if keepdims is None:
            return cast(namespace, arrays[0], dtype)
        return cast(namespace, _empty_reduction(namespace, arrays[0], axes, keepdims), dtype)
    with np.errstate(all="ignore"):
        result = definition(namespace, *arrays, axis=axes, where=where, **options)
        return cast(namespace, result, dtype)


def evaluate_elementwise(
    definition: Callable[..., Array], operands: Mapping[str, Array], **options: Any
) -> Array:
    """Evaluate a definition without an axis, on arrays of equal shape of any library."""
    namespace, arrays, dtype = real_operands(operands)
    check_same_shape(dict(zip(operands, arrays, strict=True)))
    with np.errstate(all="ignore"):
        return cast(namespace, definition(namespace, *arrays, **options), dtype)


def _empty_reduction(namespace: ModuleType, array: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    lengths = enumerate(array.shape)
    shape = tuple(1 if d in axes else n for d, n in lengths if keepdims or d not in axes)
    return namespace.full(shape, -namespace.inf, dtype=array.dtype, device=device_of(array))
