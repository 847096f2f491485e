"""The axes of the classes joined into one, and places along it."""

import math
from types import ModuleType
from typing import Any

from .._arrays import Array, device_of


def to_rows(xp: ModuleType, x: Array, axis: tuple[int, ...]) -> Array:
    """Join the reduced axes into one, the last, in the order of the array."""
    kept = tuple(one for one in range(x.ndim) if one not in axis)
    moved = xp.permute_dims(x, kept + tuple(sorted(axis)))
    if len(axis) == 1:  # also where the number of rows is not known yet
        return moved
    return xp.reshape(moved, (*(x.shape[one] for one in kept), math.prod(x.shape[one] for one in axis)))


def from_rows(xp: ModuleType, rows: Array, like: Array, axis: tuple[int, ...]) -> Array:
    """Invert ``to_rows``."""
    order = tuple(one for one in range(like.ndim) if one not in axis) + tuple(sorted(axis))
    moved = rows if len(axis) == 1 else xp.reshape(rows, tuple(like.shape[one] for one in order))
    return xp.permute_dims(moved, tuple(order.index(one) for one in range(like.ndim)))


def with_axes(xp: ModuleType, array: Array, count: int) -> Array:
    """Return the array with so many axes, new ones of length 1 before its own.

    JAX can be told to refuse arrays with different numbers of axes.
    """
    return xp.reshape(array, (1,) * (count - array.ndim) + tuple(array.shape)) if array.ndim else array


def places_along(xp: ModuleType, rows: Array, dtype: Any = None) -> Array:
    """Return 0, 1, 2, ... along the last axis, in as many axes as the rows have."""
    return with_axes(xp, xp.arange(rows.shape[-1], dtype=dtype, device=device_of(rows)), rows.ndim)


def largest_place(xp: ModuleType, weight: Array, axis: tuple[int, ...]) -> Array:
    """Return the one-hot position of the largest weight, without gradient."""
    rows = to_rows(xp, weight, axis)
    places = places_along(xp, rows)
    places = xp.zeros_like(rows, dtype=places.dtype) + places  # lies over devices as the rows do
    chosen = xp.astype(places == xp.argmax(rows, axis=-1, keepdims=True), weight.dtype)
    return from_rows(xp, chosen, weight, axis)
