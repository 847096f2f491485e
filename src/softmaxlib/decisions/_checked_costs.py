"""Checks of the costs that a rule is given, and of the names of its actions."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array, as_numpy
from .._checks import check_real, check_sequence
from ..errors import InvalidInputError, UnsupportedTypeError
from .decision import Floats

_LARGEST = 1e100  # of a cost


def check_cost(cost: Array) -> Floats:
    """Check that costs are a matrix (classes, actions) of finite numbers, and return it as float64."""
    try:
        array = as_numpy(cost, "cost")
    except ValueError as error:
        raise InvalidInputError(f"cost must be a rectangular matrix, got {error}") from None
    if array.dtype.kind not in "iuf":
        raise UnsupportedTypeError(
            f"cost must be real numbers, got dtype {array.dtype}; convert with float()"
        )
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise InvalidInputError(
            "cost must have one row a class (at least two) and one column an action (at least one), "
            f"got shape {array.shape}"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InvalidInputError(
            f"cost must be finite, got {array[row, column]} for class {row}, action {column}; "
            "use a large number for what must never happen"
        )
    _check_size(np.abs(array).max(), "cost")
    return array


def _check_size(largest: float, name: str) -> None:
    """Reject costs that are too large or too small for sums, squares and differences."""
    if not (largest == 0 or 1 / _LARGEST <= largest <= _LARGEST):
        raise InvalidInputError(
            f"{name} must be 0 or between {1 / _LARGEST:g} and {_LARGEST:g} in size, got {largest:g}; give "
            "costs in another unit"
        )


def check_action_names(names: Sequence[str] | None, actions: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    texts = tuple(map(str, check_sequence(names, "action_names", "one name an action")))
    if len(texts) != actions or len(set(texts)) < actions:
        raise InvalidInputError(
            f"action_names must name each of the {actions} actions (the columns of cost) once, all "
            f"different; got {len(texts)} names, {len(set(texts))} of them different"
        )
    return texts


def check_abstain_cost(abstain_cost: float) -> float:
    number = check_real(abstain_cost, "abstain_cost")
    if not np.isfinite(number):
        raise InvalidInputError(f"abstain_cost must be finite, got {abstain_cost}; use None to never abstain")
    if abs(number) > _LARGEST:
        _check_size(abs(number), "abstain_cost")
    return number
