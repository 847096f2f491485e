"""Axes, and shapes that broadcast."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._text import shortened
from ..errors import InvalidInputError, UnsupportedTypeError
from .libraries import Array

Axis = int | tuple[int, ...] | None


def check_axis(axis: int | Sequence[int] | None, dimensions: int) -> tuple[int, ...]:
    """Check and return the axes as distinct numbers in [0, dimensions), ascending. None means all.

    Raises
    ------
    numpy.exceptions.AxisError
        For an axis that the array does not have.
    InvalidInputError
        For an axis given twice.
    UnsupportedTypeError
        For what is no integer, and for True and False.
    """
    if axis is None:
        return tuple(range(dimensions))
    is_several = isinstance(axis, Sequence) and not isinstance(axis, str | bytes)
    given: Any = axis if is_several else (axis,)
    axes = []
    for one in given:
        try:
            number = None if isinstance(one, bool) else operator.index(one)
        except TypeError:
            number = None
        if number is None:
            got = shortened(repr(axis), 200)
            raise UnsupportedTypeError(f"axis must be an int, a tuple of ints or None, got {got}")
        if not -dimensions <= number < dimensions:
            raise np.exceptions.AxisError(number, dimensions)
        axes.append(number % dimensions)
    if len(set(axes)) < len(axes):
        raise InvalidInputError(f"axis must name each axis once, got {axis}; drop the repeated one")
    return tuple(sorted(axes))


def check_same_shape(operands: Mapping[str, Array]) -> None:
    """Refuse arrays whose shapes differ, by name."""
    (first, model), *others = operands.items()
    for name, array in others:
        if tuple(array.shape) != tuple(model.shape):
            raise InvalidInputError(
                f"{name} must have the shape of {first}, {tuple(model.shape)}, got {tuple(array.shape)}"
            )


def broadcasts_to(given: tuple[int | None, ...], shape: tuple[int | None, ...]) -> bool:
    """Return True if an array of one shape broadcasts to another."""
    pairs = zip(reversed(given), reversed(shape), strict=False)
    return len(given) <= len(shape) and all(size in (1, wanted) for size, wanted in pairs)
