"""The columns that say something of each row, as they stand in files: labels, groups, yes or no."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from .._arrays import IntArray
from ..errors import InvalidInputError
from ._selection import listed

_compute: Any = pyarrow.compute  # it makes its functions when imported: no type checker sees them


def encode_labels(column: Any, class_names: Sequence[str], where: str, first_row: int) -> IntArray:
    """Class indices (rows,) of a column of class names, or of class indices.

    A label is a class name. Only where no class has a whole number for its name is a whole number
    taken as a class index: with classes ``3`` and ``5``, the label 3 means the class called ``3``.
    """
    array = _as_array(column, where)
    if pa.types.is_boolean(array.type):
        raise InvalidInputError(
            f"{where} holds booleans, and a label is the name or the index of a class; write the class that "
            "is meant, or 0 and 1"
        )
    text = _as_text(array, where, "label", first_row)
    found = _compute.index_in(text, value_set=pa.array([str(name) for name in class_names], pa.string()))
    indices = _compute.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    if not any(_is_whole(name) for name in class_names):
        _take_indices(indices, text, len(class_names))
    unknown = np.flatnonzero(indices < 0)
    if unknown.size:
        row = int(unknown[0])
        raise InvalidInputError(
            f"{where} has the label {text[row].as_py()!r} in row {first_row + row} (counted from 0), "
            f"none of the {len(class_names)} classes ({listed(class_names)}); correct it, or choose another "
            "--label"
        )
    return indices


def encode_groups(
    column: Any, known: Sequence[str] | None, where: str, first_row: int
) -> npt.NDArray[np.object_]:
    """The name of each row's group, as texts (rows,), all among those known where some are."""
    groups = _as_text(_as_array(column, where), where, "group", first_row).dictionary_encode()
    names = np.array(groups.dictionary.to_pylist(), dtype=object)  # one text a group, not one a row
    place = groups.indices.to_numpy()
    for number, name in enumerate(names):
        if known is not None and name not in known:
            row = first_row + int(np.argmax(place == number))
            raise InvalidInputError(
                f"{where} has the group {name!r} in row {row} (counted from 0), none of the policy's "
                f"{len(known)} ({listed(known)}); fit with rows of it, or leave its rows out"
            )
    return names[place]


def encode_booleans(column: Any, where: str, first_row: int) -> npt.NDArray[np.bool_]:
    """What is written as true or false, or as 1 or 0, as booleans (rows,)."""
    text = _as_text(_as_array(column, where), where, "true or false", first_row)
    spelled = pa.array(["false", "0", "true", "1"], pa.string())
    found = _compute.index_in(_compute.utf8_lower(text), value_set=spelled)
    place = _compute.fill_null(found, -1).to_numpy(zero_copy_only=False)
    unknown = np.flatnonzero(place < 0)
    if unknown.size:
        row = int(unknown[0])
        raise InvalidInputError(
            f"{where} must be true or false (or 1 or 0) in each row, got {text[row].as_py()!r} in row "
            f"{first_row + row} (counted from 0); correct it, or choose another column"
        )
    return place >= 2


def _as_array(column: Any, where: str) -> pa.Array:
    try:
        array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(np.asarray(column))
    except pa.ArrowException as error:
        raise InvalidInputError(f"{where} must hold names or numbers: {error}; choose another") from None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _as_text(array: pa.Array, where: str, meaning: str, first_row: int) -> pa.Array:
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        row = first_row + int(np.flatnonzero(missing)[0])
        raise InvalidInputError(
            f"{where} has no {meaning} in row {row} (counted from 0); drop the row or fill it in"
        )
    if pa.types.is_floating(array.type):  # whole labels that became floats on their way through a table
        whole = _compute.equal(array, _compute.floor(array))
        if _compute.all(whole, skip_nulls=True).as_py():
            array = array.cast(pa.int64(), safe=False)
    try:
        return array.cast(pa.string())
    except pa.ArrowException:
        raise InvalidInputError(
            f"{where} must hold names or numbers, got {array.type}; choose another column"
        ) from None


def _take_indices(indices: IntArray, text: pa.Array, classes: int) -> None:
    for position in np.flatnonzero(indices < 0):
        label = text[int(position)].as_py()
        if not _is_whole(label) or not 0 <= int(label) < classes:
            return
        indices[position] = int(label)


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdigit()
