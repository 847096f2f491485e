"""A temperature or an order of the entropy: one number, or one per row."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import (
    Array,
    as_numpy,
    bring,
    broadcasts_to,
    check_real_dtype,
    foreign_namespace,
    known_values,
    real_operands,
)
from ..errors import InvalidInputError
from .numbers import check_real
from .places import first_place, written_place

Shape = tuple[int | None, ...]

_ARGMAX = "for the limit of 0 take the argmax (softmaxlib.hardmax)"
_ORDERS = "1 is softmax, 2 is sparsemax, and the limit of infinite alpha is hardmax"


def check_temperature(temperature: Array, x: Array, axes: tuple[int, ...], advice: str = _ARGMAX) -> Any:
    """Check and return the temperature of the rows of ``x``, as in `check_row_numbers`."""
    return check_row_numbers(temperature, x, axes, "temperature", advice)


def check_order(alpha: Array, x: Array, axes: tuple[int, ...]) -> Any:
    """Check and return the order of the entropy of the rows of ``x``, as in `check_row_numbers`."""
    return check_row_numbers(alpha, x, axes, "alpha", _ORDERS)


def check_row_numbers(values: Array, x: Array, axes: tuple[int, ...], name: str, advice: str) -> Any:
    """Check that numbers are finite and above 0, as far as known: one for all rows of ``x``, or one per row.

    Returns
    -------
    float, or array in the library of ``x``
        One number per row has length 1 on the axes of the classes.
    """
    if isinstance(values, (int, float)):
        number = check_real(values, name)
        if not 0 < number < math.inf:
            raise InvalidInputError(f"{name} must be finite and above 0, got {number}; {advice}")
        return number
    known = check_known_row_numbers(values, name, advice)
    namespace = foreign_namespace(x)
    if known is not None and (namespace is None or foreign_namespace(values) is None):
        if known.ndim == 0:
            return float(known)
        values = known.astype(np.float64)
    shape = row_operand_shape(tuple(values.shape), tuple(x.shape), axes, name)
    if namespace is None:
        return np.broadcast_to(as_numpy(values, name).reshape(shape), _kept(x.shape, axes))
    brought = bring(namespace, values, x, name)
    wide = real_operands({name: brought}).arrays[0]
    return wide if tuple(wide.shape) == shape else namespace.reshape(wide, shape)


def check_known_row_numbers(values: Array, name: str, advice: str = _ARGMAX) -> npt.NDArray[Any] | None:
    """Check numbers of any library, and return them, or None while a framework traces."""
    known = known_values(values, name)
    if known is not None:
        check_real_dtype(known.dtype, name)
        _check_positive(known, name, advice)
    return known


def _check_positive(values: Any, name: str, advice: str) -> None:
    """Refuse numbers of NumPy that are not finite and above 0, naming the first."""
    wrong = ~((values > 0) & (values < math.inf))
    if not np.any(wrong):
        return
    place = first_place(np.asarray(wrong))
    where = f" at {written_place(place)}" if place else ""
    raise InvalidInputError(
        f"{name} must be finite and above 0, got {np.asarray(values)[place]}{where}; {advice}"
    )


def row_operand_shape(given: Shape, shape: Shape, axes: tuple[int, ...], name: str) -> Any:
    """Return the shape that makes an array with one number per row broadcast to all of them.

    A length is None where a graph learns it only when it runs. It then agrees with every length.
    """
    kept = _kept(shape, axes)
    rows = tuple(size for position, size in enumerate(shape) if position not in axes)
    if given == rows:
        return kept
    if broadcasts_to(given, kept):
        return given
    if any(size is None for size in given + shape):
        if len(given) == len(rows) and all(map(_agree, given, rows)):
            return kept
        pairs = zip(given[::-1], kept[::-1], strict=False)
        if len(given) <= len(kept) and all(one == 1 or _agree(one, other) for one, other in pairs):
            return given
    raise InvalidInputError(
        f"{name} must be one number, or one per row: of shape {rows} or broadcasting to {kept}, "
        f"got shape {given}"
    )


def _agree(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other


def _kept(shape: Shape, axes: tuple[int, ...]) -> Any:
    return tuple(1 if position in axes else size for position, size in enumerate(shape))
