"""Groups of rows as people have them: texts, whole numbers, categories, nullable columns."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from ..errors import InvalidInputError
from .row_texts import row_texts, without_floats


class RowGroups(NamedTuple):
    """The distinct groups of rows in rising order, and the place among them of each row's group.

    A group is a text or a whole number, and told apart by how it is written: 7 and "7" are the same.
    """

    names: tuple[str, ...]
    place: npt.NDArray[np.int64]


def group_array(groups: Array, rows: int) -> npt.NDArray[Any]:
    """Return one group per row, as a NumPy array. Names are not checked."""
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
    array = without_floats(group_array(groups, rows))
    if array.dtype.kind in "iu":
        distinct, index = np.unique(array, return_inverse=True)
        return RowGroups(tuple(str(number) for number in distinct.tolist()), index.reshape(-1))
    texts = row_texts(array, "groups", "group", missing is not None)
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
