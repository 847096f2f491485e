"""Multi-label models: a logit and a label of 0 or 1 in each cell of a table (rows, labels)."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, as_numpy, dtype_name
from .._text import listed
from ..errors import InvalidInputError, UnsupportedTypeError
from .choices import check_sequence
from .columns import classes_of_columns
from .logits import as_float_array
from .look_alikes import warn_of_label_probabilities
from .missing import is_missing
from .places import first_place

_ADVICE = "drop the row or repair the model that produced it"


class LabelTable(NamedTuple):
    """Labels of rows, and which cells are known; both bool, shape (rows, labels)."""

    truth: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


def check_label_values(values: Array, probabilities: bool, advice: str) -> FloatArray:
    """Return one logit, or one probability, per label: shape (rows, labels), float32 or float64, finite.

    `advice` says what to do where logits look like probabilities.
    """
    name = "probabilities" if probabilities else "logits"
    array = as_float_array(values, name)
    if array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    if array.ndim != 2 or array.size == 0:
        raise InvalidInputError(
            f"{name} of a multi-label model must have one column per label, shape (rows, labels), and at "
            f"least one row, got shape {array.shape}"
        )
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    wrong = ~np.isfinite(array)
    if wrong.any():
        row, column = first_place(wrong)
        raise InvalidInputError(
            f"{name} must be finite, got {array[row, column]} at row {row}, column {column}; {_ADVICE}"
        )
    if not probabilities:
        warn_of_label_probabilities(array, advice)
        return array
    wrong = (array < 0) | (array > 1)
    if wrong.any():
        row, column = first_place(wrong)
        raise InvalidInputError(
            f"probabilities must lie between 0 and 1, got {array[row, column]} at row {row}, column {column}"
            "; if these are logits, apply softmaxlib.sigmoid first"
        )
    return array


def name_labels(
    values: Any, labels: Any, class_names: Sequence[str] | None, count: int, name: str = "labels"
) -> Sequence[str] | None:
    """Return the names of the labels: those given, of the columns of a frame, or sorted from lists of names.

    None where nothing names them.

    Raises
    ------
    InvalidInputError
        Where there are not as many names as labels.
    """
    if class_names is not None:
        names = check_sequence(class_names, "class_names", "one name a label")
        if len(names) != count:
            raise InvalidInputError(
                f"class_names must name each of the {count} labels once, got {len(names)} names"
            )
        return names
    named = classes_of_columns(values) or classes_of_columns(labels)
    rows = _rows_of_names(labels) if named is None else None
    if rows is None:
        return named
    names = sorted({one for row in rows if row is not None for one in row})
    if len(names) != count:
        raise InvalidInputError(
            f"{name} must have each of the {count} labels at least once if nothing else names them, "
            f"got {len(names)} names: {listed(names)}; give class_names=..., one name per label"
        )
    return names


def check_label_table(
    labels: Array, shape: tuple[int, int], class_names: Sequence[str] | None = None, name: str = "labels"
) -> LabelTable:
    """Return which labels each row has.

    Parameters
    ----------
    labels : array or frame, shape (rows, labels), or sequence of lists or sets of names
        0 or 1 (False or True) in each cell; NaN, None or NA where it is not known. Or the names of the
        labels that each row has; None for a row of which nothing is known.
    shape : tuple of int
        The shape of the logits.
    class_names : sequence of str, optional
        One per label: what lists of names, and the columns of a frame, are called.
    name : str
        What the argument is called, for errors.

    Raises
    ------
    InvalidInputError
        For another shape, a number that is not 0 or 1, an unknown name, columns of other names, or no known
        cell at all.
    UnsupportedTypeError
        For text in the cells.
    """
    of_names = _rows_of_names(labels)
    if of_names is not None:
        names = class_names or name_labels(None, labels, None, shape[1], name)
        assert names is not None
        table = _from_names(of_names, shape, names, name)
    else:
        _check_columns(labels, class_names, name)
        table = _from_cells(labels, shape, name)
    if not table.known.any():
        raise InvalidInputError(f"{name} must be known in some cell, and every cell is missing; give labels")
    return table


def _check_columns(labels: Any, class_names: Sequence[str] | None, name: str) -> None:
    found = classes_of_columns(labels)
    if found is None or class_names is None or len(found) != len(class_names):
        return
    if all(one == other or one.endswith(f"_{other}") for one, other in zip(found, class_names, strict=True)):
        return
    raise InvalidInputError(
        f"the columns of {name} must be called after the classes, in their order, {listed(class_names)}; got "
        f"{listed(found)}; select them in that order, or pass to_numpy()"
    )


def _from_cells(labels: Array, shape: tuple[int, int], name: str) -> LabelTable:
    array = as_numpy(labels, name)
    if array.ndim == 1 and shape[1] == 1:
        array = array[:, None]
    if array.shape != shape:
        raise InvalidInputError(
            f"{name} of a multi-label model must have a column per label, as the logits: shape {shape}, "
            f"got shape {array.shape}"
        )
    if array.dtype.kind == "O":
        array = _from_objects(array, name)
    if array.dtype.kind == "b":
        return LabelTable(array.astype(np.bool_), np.ones(shape, bool))
    if array.dtype.kind not in "iuf":
        raise UnsupportedTypeError(
            f"{name} must be 0 or 1 in each cell, or a list of names per row; got dtype "
            f"{dtype_name(array.dtype)}"
        )
    known = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(shape, bool)
    truth = array == 1
    wrong = known & ~truth & (array != 0)
    if wrong.any():
        row, column = first_place(wrong)
        raise InvalidInputError(
            f"{name} must be 0 or 1 in each cell, or missing (NaN); got {array[row, column]} at row {row}, "
            f"column {column}"
        )
    return LabelTable(truth, known)


def _from_objects(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.float64]:
    """Return Python numbers and booleans, with NaN for missing ones."""
    result = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        if is_missing(value):
            result[place] = np.nan
        elif isinstance(value, (bool, np.bool_, int, float, np.number)):
            result[place] = float(value)
        else:
            raise UnsupportedTypeError(
                f"{name} must be 0 or 1 in each cell, or missing (None); got {value!r} at row {place[0]}, "
                f"column {place[1]}"
            )
    return result


def _rows_of_names(labels: Any) -> list[list[str] | None] | None:
    """Return the names of each row, where labels are lists or sets of names; else None."""
    if isinstance(labels, np.ndarray):
        if labels.dtype != object or labels.ndim != 1:
            return None
    elif (
        classes_of_columns(labels) is not None
        or not isinstance(labels, Iterable)
        or getattr(labels, "ndim", 1) != 1
    ):
        return None
    rows = list(labels)
    containers = (list, tuple, set, frozenset, np.ndarray)
    some = [row for row in rows if isinstance(row, containers)]
    if not some or not all(isinstance(row, containers) or is_missing(row) for row in rows):
        return None
    names = [None if not isinstance(row, containers) else list(row) for row in rows]
    inner = [value for row in names if row is not None for value in row]
    sets_only = any(isinstance(row, (set, frozenset)) for row in some)
    if not all(isinstance(value, str) for value in inner) or not (inner or sets_only):
        return None
    return names


def _from_names(
    rows: list[list[str] | None], shape: tuple[int, int], names: Sequence[str], name: str
) -> LabelTable:
    if len(rows) != shape[0]:
        raise InvalidInputError(f"{name} must have one list of names per row, {shape[0]}, got {len(rows)}")
    place = {one: column for column, one in enumerate(names)}
    truth, known = np.zeros(shape, bool), np.ones(shape, bool)
    for number, row in enumerate(rows):
        if row is None:
            known[number] = False
            continue
        for one in row:
            if one not in place:
                raise InvalidInputError(f"{name} must be among {listed(names)}; got {one!r} in row {number}")
            truth[number, place[one]] = True
    return LabelTable(truth, known)
