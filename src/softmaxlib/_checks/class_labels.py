"""Labels as people have them: class numbers, class names, booleans, one-hot rows."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy, dtype_name
from .._text import listed, shortened
from ..errors import InvalidInputError, UnsupportedTypeError
from .index_targets import are_classes
from .missing import is_missing
from .places import first_place


def check_labels(
    labels: Array,
    rows: int,
    classes: int,
    name: str = "labels",
    class_names: Sequence[str] | None = None,
) -> IntArray:
    """Return the true class of each row as int64 numbers in [0, classes).

    Parameters
    ----------
    labels : array, shape (rows,) or (rows, 1) or (rows, classes)
        Class numbers; class names in any kind of text or categories; with two classes, booleans; or one-hot
        rows. An array of any library, a column of a frame, or a list.
    rows, classes : int
        The shape of the logits.
    name : str
        What the argument is called, for errors.
    class_names : sequence of str, optional
        What text stands for, in the order of the classes. Without it text is numbered by `name_classes`.

    Raises
    ------
    InvalidInputError
        For another shape, a number out of range, an unknown name, a missing label, or a row that is not
        one-hot.
    UnsupportedTypeError
        For anything that is neither a number nor text.
    """
    array = _values(labels, name)
    if array.shape == (rows, classes):
        return _from_one_hot(array, name)
    if array.shape == (rows, 1):
        array = array[:, 0]
    if array.shape != (rows,):
        raise InvalidInputError(
            f"{name} must have one class per row, shape ({rows},), or be one-hot, shape ({rows}, {classes}), "
            f"got shape {array.shape}"
        )
    if array.dtype.kind == "U":
        return _from_names(array, classes, class_names, name)
    if array.dtype.kind == "b":
        if classes != 2:
            raise InvalidInputError(
                f"{name} of True and False are for two classes, and there are {classes}; give class numbers"
            )
        return array.astype(np.int64)
    if not are_classes(array, classes):
        outside = (array < 0) | (array >= classes)
        row = int(np.flatnonzero(outside)[0])
        raise InvalidInputError(
            f"{name} must lie in 0 to {classes - 1} ({classes} classes), got {array[row]} in row {row}"
        )
    return array.astype(np.int64, copy=False)


def name_classes(labels: Array, classes: int, name: str = "labels") -> tuple[str, ...]:
    """Return the names of the classes in the order of their numbers, as far as labels tell.

    Text labels that are all among ``"0"``, ``"1"``, ... mean these numbers; other text is sorted, as
    scikit-learn sorts it, and each class must occur. Labels that are no text name no class: the names are
    then ``"0"``, ``"1"``, ...

    Raises
    ------
    InvalidInputError
        For text labels that do not have as many different values as there are classes.
    """
    array = _values(labels, name)
    found = np.unique(array).tolist() if array.dtype.kind == "U" else []
    return _names_of_classes(found, classes, name)


def _names_of_classes(found: Sequence[str], classes: int, name: str) -> tuple[str, ...]:
    """Return the names of the classes for labels with these sorted different texts."""
    numbers = tuple(str(index) for index in range(classes))
    if set(found) <= set(numbers):
        return numbers
    if len(found) != classes:
        raise InvalidInputError(
            f"{name} must name each of the {classes} classes at least once if nothing else does, "
            f"got {len(found)} names: {listed(found)}; give class_names=..., one name per class, "
            "in the order of the columns"
        )
    return tuple(found)


def _values(labels: Array, name: str) -> npt.NDArray[Any]:
    """Return labels as an array of integers, whole floats, booleans or text; a missing one is refused."""
    array = as_numpy(labels, name)
    if array.ndim == 0:
        got = shortened(repr(labels), 200)
        raise InvalidInputError(f"{name} must have one class per row, got {got}; pass an array or a list")
    if array.dtype.kind in "OT":
        array = _from_objects(array.astype(object, copy=False), name)
    elif array.dtype.kind == "S":
        array = np.strings.decode(array, "utf-8")
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        if missing.any():
            _refuse_missing(missing, "NaN", name)
        broken = array != np.floor(array)
        if broken.any():
            place = first_place(broken)
            raise InvalidInputError(
                f"{name} must be class numbers or names, got {array[place]} in row {place[0]}; "
                "probabilities as targets are for the losses"
            )
    elif array.dtype.kind not in "iubU":
        raise UnsupportedTypeError(
            f"{name} must be class numbers, class names or booleans, got dtype {dtype_name(array.dtype)}"
        )
    return array


def _from_objects(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return an array of Python objects, as frames give it, in the type that all of them have."""
    values = array.ravel().tolist()
    missing = np.array([is_missing(value) for value in values], dtype=bool)
    if missing.any():
        _refuse_missing(missing.reshape(array.shape), repr(values[int(np.argmax(missing))]), name)
    for kind, dtype in ((str, np.str_), ((bool, np.bool_), np.bool_), ((int, np.integer), np.int64)):
        if all(isinstance(value, kind) for value in values):
            try:
                return np.array(values, dtype=dtype).reshape(array.shape)
            except OverflowError:
                largest = shortened(repr(max(values, key=abs)), 200)
                raise InvalidInputError(f"{name} must be class numbers, got {largest}") from None
    kinds = sorted({type(value).__name__ for value in values})
    raise UnsupportedTypeError(
        f"{name} must be class numbers, class names or booleans, and all of one type; got {', '.join(kinds)}"
    )


def _refuse_missing(missing: npt.NDArray[np.bool_], value: str, name: str) -> None:
    row = first_place(missing)[0]
    raise InvalidInputError(
        f"{name} must name a class in each row, got {value} in row {row}; leave rows without a label out"
    )


def _from_names(
    array: npt.NDArray[Any], classes: int, class_names: Sequence[str] | None, name: str
) -> IntArray:
    found, inverse = np.unique(array, return_inverse=True)
    if class_names is None:
        class_names = _names_of_classes(found.tolist(), classes, name)
    place = {each: index for index, each in enumerate(class_names)}
    known = np.array([place.get(one, -1) for one in found.tolist()], dtype=np.int64)
    if (known < 0).any():
        row = int(np.argmax(known[inverse] < 0))
        near = difflib.get_close_matches(str(array[row]), class_names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidInputError(
            f"{name} must be among the class names {listed(class_names)}; got {str(array[row])!r} in row "
            f"{row}{hint}"
        )
    return known[inverse]


def _from_one_hot(array: npt.NDArray[Any], name: str) -> IntArray:
    if array.dtype.kind == "U":
        raise UnsupportedTypeError(f"{name} must be 0 and 1 where they are one-hot, got text")
    wrong = ((array != 0) & (array != 1)).any(axis=1) | (array.sum(axis=1) != 1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"{name} of this shape must be one-hot, one 1 and else 0 in each row, got {array[row]} in "
            f"row {row}"
        )
    return array.argmax(axis=1)
