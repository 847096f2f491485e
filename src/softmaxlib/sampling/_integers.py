"""Integers that keep their value, for any type and size."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from .._text import written_integer
from ..errors import InvalidInputError, UnsupportedTypeError

Integers = npt.NDArray[Any]
Place = Callable[..., str]


def whole_numbers(values: Array, name: str, largest: int, place: Place = " in row {}".format) -> Integers:
    """Return integers in [0, largest], as int64, or as uint64 if `largest` needs it.

    NumPy converts a list to float64 if some numbers are above 2^63 - 1 and others are not. Such lists are
    read number by number.

    Parameters
    ----------
    values : int, array of any integer dtype and library, or (nested) list of integers
    name : str
        The name in messages.
    place : callable
        Takes the index of the first wrong number, one argument per axis, and returns the end of the message.
    """
    array = as_numpy(values, name)
    if array.dtype.kind not in "iu" and (isinstance(values, (list, tuple)) or array.dtype.kind == "O"):
        array = _read_one_by_one(np.array(values, dtype=object), name, largest, place)
    if array.dtype.kind not in "iu":
        raise _not_whole(name, f"dtype {array.dtype}")
    outside = (array < 0) | (array.astype(np.uint64) > np.uint64(largest))
    if np.any(outside):
        first = tuple(np.argwhere(outside)[0])
        raise _out_of_range(name, largest, array[first], _where(first, place))
    return array.astype(np.int64 if largest < 2**63 else np.uint64)


def _read_one_by_one(objects: Integers, name: str, largest: int, place: Place) -> Integers:
    numbers = np.zeros(objects.shape, dtype=np.uint64)
    for index, value in np.ndenumerate(objects):
        try:
            number = operator.index(value)
        except TypeError:
            raise _not_whole(name, f"{value!r}{_where(index, place)}") from None
        if isinstance(value, (bool, np.bool_)):
            raise _not_whole(name, f"{value!r}{_where(index, place)}")
        if not 0 <= number <= largest:
            raise _out_of_range(name, largest, number, _where(index, place))
        numbers[index] = number
    return numbers


def _not_whole(name: str, got: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(f"{name} must be a whole number or an array of them, got {got}")


def _out_of_range(name: str, largest: int, value: Any, where: str) -> InvalidInputError:
    return InvalidInputError(f"{name} must lie in 0 to {largest}, got {written_integer(value)}{where}")


def _where(index: tuple[Any, ...], place: Place) -> str:
    return place(*map(int, index)) if index else ""
