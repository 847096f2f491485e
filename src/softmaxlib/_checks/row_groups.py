"""Groups of rows as people have them: texts, whole numbers, categories, nullable columns."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from ..errors import InvalidInputError, UnsupportedTypeError
from .missing import is_missing


class RowGroups(NamedTuple):
    """The distinct groups of rows in rising order, and the place among them of each row's group.

    A group is a text or a whole number, and told apart by how it is written: 7 and "7" are the same.
    """

    names: tuple[str, ...]
    place: npt.NDArray[np.int64]


def group_array(groups: Array, rows: int) -> npt.NDArray[Any]:
    """One group a row, as NumPy's array; what they are called is not looked at."""
    array = as_numpy(groups, "groups")
    if array.shape != (rows,):
        raise InvalidInputError(f"groups must hold one group a row, shape ({rows},), got shape {array.shape}")
    return array


def name_groups(groups: Array, rows: int, missing: str | None = None) -> RowGroups:
    """Return the groups that occur: numbers in order of size, texts of their letters.

    Parameters
    ----------
    groups : array, shape (rows,)
        Texts, whole numbers, booleans, categories or a nullable column.
    rows : int
        How many there must be.
    missing : str, optional
        What rows without a group are called; they come last. Without it they are refused.
    """
    array = group_array(groups, rows)
    if array.dtype.kind == "f":
        array = _from_floats(array)
    if array.dtype.kind in "iu":
        distinct, index = np.unique(array, return_inverse=True)
        return RowGroups(tuple(str(number) for number in distinct.tolist()), index.reshape(-1))
    texts = _texts(array, missing is not None)
    names = sorted({text for text in texts if text is not None})
    if None in texts:
        assert missing is not None
        while missing in names:
            missing += "*"
        names.append(missing)
    place: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    return RowGroups(
        tuple(names), np.array([place[missing if text is None else text] for text in texts], np.int64)
    )


def _from_floats(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Whole numbers that became floats, as a column with missing ones does; NaN is left, as an object."""
    whole = np.isnan(array) | (np.trunc(array) == array) & (np.abs(array) < 2.0**53)
    if not whole.all():
        return array  # refused by what follows
    if not np.isnan(array).any():
        return array.astype(np.int64)
    return np.array([None if value != value else int(value) for value in array.tolist()], dtype=object)


def _texts(array: npt.NDArray[Any], may_be_missing: bool) -> list[str | None]:
    """Each group as it is written; what is neither a text nor a whole number is refused."""
    if array.dtype.kind == "b":
        return ["true" if value else "false" for value in array.tolist()]
    if array.dtype.kind not in "UOT":
        raise UnsupportedTypeError(
            f"groups must be texts or whole numbers, got dtype {array.dtype}; convert with .astype(str)"
        )
    values = array.tolist()
    if not all(type(value) is str for value in values):
        values = [_text(value, row, may_be_missing) for row, value in enumerate(values)]
    return values


def _text(value: Any, row: int, may_be_missing: bool) -> str | None:
    if may_be_missing and is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, (str, int, np.integer)):
        raise UnsupportedTypeError(
            f"groups must be texts or whole numbers, got {value!r} in row {row}; name the group of that "
            "row, or leave the row out"
        )
    return str(value)
