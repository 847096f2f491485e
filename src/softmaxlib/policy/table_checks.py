"""Checks of the numbers of a table; messages name the table, the row and the column."""

from collections.abc import Callable

import numpy as np

from .._arrays import FloatArray
from .._checks import find_improbable
from ..errors import InvalidInputError


def check_finite(
    values: FloatArray, kind: str, place: object, first_row: int, name_of: Callable[[int], str]
) -> None:
    """Reject NaN and infinity; `name_of` names a column, and `first_row` is the place of the first row."""
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InvalidInputError(
            f"{place}: {kind} must be finite, got {values[row, column]} in row {first_row + row} (counted "
            f"from 0), {name_of(int(column))}; drop the row or repair the model that produced it"
        )


def check_distributions(values: FloatArray, place: object, first_row: int, advice: str) -> None:
    """Reject rows that are no distributions; `advice` says what to do."""
    fault = find_improbable(values, "probabilities")
    if fault is not None:
        row, rule = fault
        raise InvalidInputError(f"{place}: {rule} in row {first_row + row} (counted from 0); {advice}")
