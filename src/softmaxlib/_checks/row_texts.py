"""Names of rows as people have them: texts, whole numbers, booleans, nullable columns."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UnsupportedTypeError
from .missing import is_missing


def without_floats(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers that became floats, as in a column with missing ones; NaN becomes None."""
    if array.dtype.kind != "f":
        return array
    whole = np.isnan(array) | (np.trunc(array) == array) & (np.abs(array) < 2.0**53)
    if not whole.all():
        return array  # refused by what follows
    if not np.isnan(array).any():
        return array.astype(np.int64)
    return np.array([None if value != value else int(value) for value in array.tolist()], dtype=object)


def row_texts(array: npt.NDArray[Any], what: str, one: str, may_be_missing: bool) -> list[str | None]:
    """Return each row's name as text; anything but texts and whole numbers is rejected.

    Parameters
    ----------
    array : ndarray, shape (rows,)
        Texts, booleans or objects; None, NaN and their like are missing.
    what, one : str
        What messages call the argument, and one of its values.
    may_be_missing : bool
        Whether a missing one is None in the list; else it is refused.
    """
    if array.dtype.kind == "b":
        return ["true" if value else "false" for value in array.tolist()]
    if array.dtype.kind not in "UOT":
        raise UnsupportedTypeError(
            f"{what} must be texts or whole numbers, got dtype {array.dtype}; convert with .astype(str)"
        )
    values = array.tolist()
    if not all(type(value) is str for value in values):
        values = [_text(value, row, what, one, may_be_missing) for row, value in enumerate(values)]
    return values


def _text(value: Any, row: int, what: str, one: str, may_be_missing: bool) -> str | None:
    if may_be_missing and is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, (str, int, np.integer)):
        raise UnsupportedTypeError(
            f"{what} must be texts or whole numbers, got {value!r} in row {row}; name the {one} of that "
            "row, or leave the row out"
        )
    return str(value)
