"""Columns with one value per row in files: labels, groups, booleans, weights."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .._arrays import IntArray
from .._spelling import argument
from .._text import quoted
from ..errors import InvalidInputError
from .compute import compute
from .plain import plain

_WHOLE = re.compile(r"(-?\d+)\.0+")
_LEAST_WEIGHT = 1e-100  # products of some weights, and their inverses, are still numbers
_LARGEST_WHOLE = 2.0**53  # a float beyond it may stand for several whole numbers


def encode_labels(column: Any, class_names: Sequence[str], where: str, first_row: int) -> IntArray:
    """Return class indices (rows,) from a column of class names or class indices.

    A label is a class name. Only where no class has a whole number for its name is a whole number
    taken as a class index: with classes ``3`` and ``5``, the label 3 means the class called ``3``. A whole
    number that became a float on its way is the same name: ``3.0`` means the class ``3``, and 3 the class
    ``3.0``, unless another class is called so. Of two classes, false is the first and true the second.
    """
    text = _label_texts(column, where, first_row, "" in class_names)
    labels = text.dictionary_encode()  # each label is looked up once, not once a row
    names = labels.dictionary.to_pylist()
    found = _found(names, class_names)
    if not any(_is_whole(_shortest(name)) for name in class_names):
        found = [
            _as_index(name, len(class_names)) if at < 0 else at for name, at in zip(names, found, strict=True)
        ]
    if len(class_names) == 2:
        truths = _truths(class_names)
        found = [
            truths.get(name.lower(), -1) if at < 0 else at for name, at in zip(names, found, strict=True)
        ]
    indices = np.array(found, dtype=np.int64)[labels.indices.to_numpy()]
    unknown = np.flatnonzero(indices < 0)
    if unknown.size:
        row = int(unknown[0])
        raise InvalidInputError(
            f"{where} has the label {text[row].as_py()!r} in row {first_row + row} (counted from 0), "
            f"none of the {len(class_names)} classes ({quoted(class_names)}); correct it, or choose another "
            f"column with {argument('label')}"
        )
    return indices


def different_labels(column: Any, where: str, first_row: int) -> list[str]:
    """Return the different labels of a column as texts, whole numbers without decimals."""
    text = _label_texts(column, where, first_row, False)
    return [_shortest(label) for label in text.unique().to_pylist()]


def _label_texts(column: Any, where: str, first_row: int, may_be_empty: bool) -> pa.Array:
    """Convert labels to texts; booleans become ``False`` and ``True``, as in text files."""
    array = _as_array(column, where)
    if pa.types.is_boolean(array.type):
        array = compute.if_else(array, "True", "False")
    return _as_text(array, where, "label", first_row, may_be_empty)


def _truths(class_names: Sequence[str]) -> dict[str, int]:
    """Return the places of false and true among two classes: by name in any case, else first and second."""
    places = {name.lower(): place for place, name in enumerate(class_names)}
    return {word: places[word] for word in _TRUTHS if word in places} or _TRUTHS


def encode_groups(
    column: Any, known: Sequence[str] | None, where: str, first_row: int
) -> npt.NDArray[np.object_]:
    """Return each row's group as texts (rows,); if groups are known, only these are allowed."""
    may_be_empty = known is not None and "" in known
    groups = _as_text(_as_array(column, where), where, "group", first_row, may_be_empty).dictionary_encode()
    names = groups.dictionary.to_pylist()
    place = groups.indices.to_numpy()
    if known is not None:
        for number, at in enumerate(_found(names, known)):
            if at < 0:
                row = first_row + int(np.argmax(place == number))
                raise InvalidInputError(
                    f"{where} has the group {names[number]!r} in row {row} (counted from 0), none of the "
                    f"policy's {len(known)} ({quoted(known)}); fit with rows of it, or leave its rows out"
                )
            names[number] = known[at]
    return np.array(names, dtype=object)[place]  # one text a group, not one a row


def encode_compared_groups(column: Any, where: str, first_row: int) -> npt.NDArray[np.object_]:
    """Return each row's group as texts (rows,), None where a cell is empty."""
    array = _as_array(column, where)
    missing = _is_empty(array)
    groups = np.full(len(array), None, dtype=object)
    if not missing.all():
        groups[~missing] = encode_groups(array.filter(pa.array(~missing)), None, where, first_row)
    return groups


def encode_ids(column: Any, where: str, first_row: int) -> npt.NDArray[np.object_]:
    """Return the identifiers of rows as texts (rows,), None where a cell is empty."""
    array = _as_array(column, where)
    missing = _is_empty(array)
    ids = np.full(len(array), None, dtype=object)
    some = array.filter(pa.array(~missing))
    ids[~missing] = _as_text(some, where, "id", first_row).to_numpy(zero_copy_only=False)
    return ids


def encode_booleans(column: Any, where: str, first_row: int) -> npt.NDArray[np.bool_]:
    """Convert true and false, or 1 and 0, to booleans (rows,)."""
    text = _as_text(_as_array(column, where), where, "true or false", first_row).dictionary_encode()
    spelled = [_shortest(name).lower() for name in text.dictionary.to_pylist()]
    found = np.array([_BOOLEANS.get(name, -1) for name in spelled], dtype=np.int64)[text.indices.to_numpy()]
    unknown = np.flatnonzero(found < 0)
    if unknown.size:
        row = int(unknown[0])
        raise InvalidInputError(
            f"{where} must be true or false (or 1 or 0) in each row, got {text[row].as_py()!r} in row "
            f"{first_row + row} (counted from 0); correct it, or choose another column"
        )
    return found == 1


def encode_weights(column: Any, where: str, first_row: int) -> npt.NDArray[np.float64]:
    """Return the weights of rows as float64 (rows,): finite, none negative, none absent."""
    array = _as_array(column, where)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    if not any(is_kind(array.type) for is_kind in kinds):
        shown = f"{array[0].as_py()!r} in row {first_row} (counted from 0)" if len(array) else array.type
        raise InvalidInputError(
            f"{where} must hold numbers, the weights of the rows, got {shown}; choose another column with "
            f"{argument('weight')}"
        )
    weights = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    if array.null_count:
        row = first_row + int(np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))[0])
        raise InvalidInputError(
            f"{where} has no weight in row {row} (counted from 0); fill it in, or write 0"
        )
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if wrong.size:
        raise InvalidInputError(
            f"{where} must hold weights that are finite and not negative, got {weights[wrong[0]]} in row "
            f"{first_row + int(wrong[0])} (counted from 0); correct it, or drop the row"
        )
    extreme = np.flatnonzero((weights > 0) & ((weights < _LEAST_WEIGHT) | (weights > 1 / _LEAST_WEIGHT)))
    if extreme.size:
        raise InvalidInputError(
            f"{where} must hold weights of 0, or between {_LEAST_WEIGHT:g} and {1 / _LEAST_WEIGHT:g}, got "
            f"{weights[extreme[0]]} in row {first_row + int(extreme[0])} (counted from 0); multiply all "
            "weights by the same number"
        )
    return weights


_TRUTHS = {"false": 0, "true": 1}
_BOOLEANS = {**_TRUTHS, "0": 0, "1": 1}


def _is_empty(array: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which cells are null, NaN or an empty text."""
    missing = compute.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        missing |= compute.fill_null(compute.equal(array, ""), False).to_numpy(zero_copy_only=False)
    return missing


def _as_array(column: Any, where: str) -> pa.Array:
    try:
        array = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(np.asarray(column))
    except (pa.ArrowException, UnicodeError) as error:
        raise InvalidInputError(f"{where} must hold names or numbers: {error}; choose another") from None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    return plain(array)


def _as_text(
    array: pa.Array, where: str, meaning: str, first_row: int, may_be_empty: bool = False
) -> pa.Array:
    """Convert a column to texts, whole numbers without decimals; missing values and NaN are rejected."""
    missing = compute.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(array.type):
        values = array.to_numpy(zero_copy_only=False).astype(np.float64)
        if not missing.any() and (np.trunc(values) == values).all() and (abs(values) <= _LARGEST_WHOLE).all():
            array = array.cast(pa.int64(), safe=False)
    try:
        text = array.cast(pa.string())
    except (pa.ArrowException, UnicodeError):
        raise InvalidInputError(
            f"{where} must hold names or numbers, got {array.type}; choose another column"
        ) from None
    if not may_be_empty:  # as a missing text is written in CSV
        missing |= compute.equal(text, "").to_numpy(zero_copy_only=False).astype(bool)
    if missing.any():
        row = first_row + int(np.flatnonzero(missing)[0])
        raise InvalidInputError(
            f"{where} has no {meaning} in row {row} (counted from 0); drop the row or fill it in"
        )
    return text


def _found(texts: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the place of each text among the names, -1 if it is not there."""
    exact = {name: place for place, name in enumerate(names)}
    shortest: dict[str, int] = {}
    for place, name in enumerate(names):
        short = _shortest(name)
        shortest[short] = -1 if short in shortest else place  # "2" and "2.0" are two classes
    return [exact.get(text, shortest.get(_shortest(text), -1)) for text in texts]


def _as_index(label: str, classes: int) -> int:
    short = _shortest(label)
    return int(short) if _is_whole(short) and len(short) < 20 and int(short) < classes else -1


def _shortest(text: str) -> str:
    """Format a whole number without the decimals of a float."""
    match = _WHOLE.fullmatch(text)
    return text if match is None else match[1]


def _is_whole(name: str) -> bool:
    return name.isascii() and name.isdigit()
