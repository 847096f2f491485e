"""Labels as they stand in files, class names or class indices, to class indices."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from .._arrays import IntArray
from ..errors import InvalidInputError

_compute: Any = pyarrow.compute  # it makes its functions when imported: no type checker sees them


def encode_labels(column: Any, class_names: Sequence[str], where: str, first_row: int) -> IntArray:
    """Class indices (rows,) of a column of class names, or of class indices.

    A label is a class name. Only where no class has a whole number for its name is a whole number
    taken as a class index: with classes ``3`` and ``5``, the label 3 means the class called ``3``.
    """
    text = _as_text(column, where)
    missing = text.is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        row = first_row + int(np.flatnonzero(missing)[0])
        raise InvalidInputError(
            f"{where} has no label in row {row} (counted from 0); drop the row or fill it in"
        )
    found = _compute.index_in(text, value_set=pa.array([str(name) for name in class_names], pa.string()))
    indices = _compute.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    if not any(_is_whole(name) for name in class_names):
        _take_indices(indices, text, len(class_names))
    unknown = np.flatnonzero(indices < 0)
    if unknown.size:
        row = int(unknown[0])
        shown = ", ".join(repr(str(name)) for name in class_names[:8]) + (
            ", ..." if len(class_names) > 8 else ""
        )
        raise InvalidInputError(
            f"{where} has the label {text[row].as_py()!r} in row {first_row + row} (counted from 0), "
            f"none of the {len(class_names)} classes ({shown}); correct it, or choose another --label"
        )
    return indices


def _as_text(column: Any, where: str) -> pa.Array:
    array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(np.asarray(column))
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_boolean(array.type):
        raise InvalidInputError(
            f"{where} holds booleans, and a label is the name or the index of a class; write the class that "
            "is meant, or 0 and 1"
        )
    if pa.types.is_floating(array.type):  # whole labels that became floats on their way through a table
        whole = _compute.equal(array, _compute.floor(array))
        if _compute.all(whole, skip_nulls=True).as_py():
            array = array.cast(pa.int64(), safe=False)
    return array.cast(pa.string())


def _take_indices(indices: IntArray, text: pa.Array, classes: int) -> None:
    for position in np.flatnonzero(indices < 0):
        label = text[int(position)].as_py()
        if not _is_whole(label) or not 0 <= int(label) < classes:
            return
        indices[position] = int(label)


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdigit()
