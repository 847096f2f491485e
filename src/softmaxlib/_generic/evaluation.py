"""Definitions evaluated on the arrays of any library."""

import math
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import (
    Array,
    Axis,
    cast,
    check_axis,
    check_same_shape,
    check_where,
    device_of,
    foreign_namespace,
    real_operands,
    take_masks,
)

_BLOCK = 1 << 16  # elements of large NumPy arrays that are computed at a time


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
        if _is_large(arrays[0]) and options.get("keepdims") is None:
            return _evaluate_blocks(definition, namespace, arrays, axes, where, np.dtype(dtype), options)
        result = definition(namespace, *arrays, axis=axes, where=where, **options)
        return cast(namespace, result, dtype)


def _is_large(array: Array) -> bool:
    return foreign_namespace(array) is None and array.size > 4 * _BLOCK


def _evaluate_blocks(
    definition: Callable[..., Array],
    namespace: ModuleType,
    arrays: tuple[npt.NDArray[Any], ...],
    axes: tuple[int, ...],
    where: npt.NDArray[np.bool_] | None,
    dtype: np.dtype[Any],
    options: Mapping[str, Any],
) -> Array:
    """Evaluate a definition on NumPy arrays in blocks of rows, so that Ctrl-C is answered between them."""
    last = tuple(range(-len(axes), 0))

    def rows_of(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        moved = np.moveaxis(value, axes, last)
        return moved.reshape(-1, math.prod(moved.shape[-len(axes) :]))

    operands = [rows_of(array) for array in arrays]
    mask = rows_of(where)
    by_row = {name: rows_of(option) for name, option in options.items()}
    rows, classes = operands[0].shape
    result = np.empty((rows, classes), dtype)
    step = max(1, _BLOCK // classes)
    for start in range(0, rows, step):
        block = slice(start, start + step)
        result[block] = definition(
            namespace,
            *(operand[block] for operand in operands),
            axis=(1,),
            where=None if mask is None else mask[block],
            **{name: one[block] if isinstance(one, np.ndarray) else one for name, one in by_row.items()},
        )
    moved = np.moveaxis(arrays[0], axes, last)
    return np.ascontiguousarray(np.moveaxis(result.reshape(moved.shape), last, axes))


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
