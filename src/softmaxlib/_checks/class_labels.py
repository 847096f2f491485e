"""Labels as people have them: class numbers, class names, booleans, one-hot rows."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy, dtype_name
from .._text import is_writable, listed, shortened
from ..errors import InvalidInputError, UnsupportedTypeError
from .choices import check_sequence
from .columns import classes_of_columns
from .index_targets import are_classes
from .missing import is_missing
from .places import first_place


class Unnamed(NamedTuple):
    """Treatment of text labels if no class names are given.

    Attributes
    ----------
    advice : str
        How the caller can say it.
    are_all : bool
        Whether these are all labels. Then sorted names are numbered, if each class occurs.
    """

    advice: str
    are_all: bool = True


BY_ARGUMENT = Unnamed("give class_names=..., one name per class, in the order of the columns")
BY_COLUMNS = Unnamed("pass a frame whose columns name the classes, or class numbers as labels")
IN_BATCHES = Unnamed(
    "give class_names=... where the tally is made, pass frames whose columns name the classes, or class "
    "numbers as labels",
    are_all=False,
)


class ClassNumbers(npt.NDArray[np.int64]):
    """Class numbers (rows,) that labels were already matched to: no names, whatever classes are called."""


def check_class_names(class_names: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """Check that there is one distinct name per class. None gives ``"0"``, ``"1"``, ..."""
    if class_names is None:
        return tuple(str(index) for index in range(classes))
    names = tuple(map(str, check_sequence(class_names, "class_names", "one name a class")))
    if len(names) != classes:
        raise InvalidInputError(
            f"class_names must name each of the {classes} classes once, got {len(names)} names"
        )
    if len(set(names)) < classes:
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f"class_names must differ, {repeated!r} stands more than once")
    for index, name in enumerate(names):
        if not is_writable(name):
            raise InvalidInputError(
                f"class_names must be text that a file can hold, got {name!a} for class {index}; "
                "replace its lone surrogate"
            )
    return names


def check_columns(table: Any, class_names: Sequence[str], whose: str) -> None:
    """Refuse a frame whose columns name other classes, or the same in another order.

    Parameters
    ----------
    table
        A frame, or an array of any kind, which names no class.
    class_names
        The classes that are expected, in order.
    whose
        Where these come from, for the message.
    """
    found, expected = classes_of_columns(table), tuple(class_names)
    if found is None or found == expected:
        return
    if sorted(found) == sorted(expected):
        rule, advice = "be in the order of", "select them in that order"
    else:
        rule = "be called after"
        advice = "give the frame of this model, or pass to_numpy() where the columns do mean these classes"
    raise InvalidInputError(
        f"columns must {rule} the classes {whose}, {listed(expected)}; got {listed(found)}; {advice}"
    )


def check_labels(
    labels: Array,
    rows: int,
    classes: int,
    name: str = "labels",
    class_names: Sequence[str] | None = None,
    unnamed: Unnamed = BY_COLUMNS,
) -> IntArray:
    """Return the true class of each row as int64 numbers in [0, classes).

    Parameters
    ----------
    labels : array, shape (rows,) or (rows, 1) or (rows, classes)
        Class numbers; class names in any kind of text or categories; with two classes, booleans; or one-hot
        rows. An array of any library, a column of a frame, or a list. `ClassNumbers` are never names.
    rows, classes : int
        The shape of the logits.
    name : str
        What the argument is called, for errors.
    class_names : sequence of str, optional
        What text stands for, in the order of the classes. Without it text is numbered by `name_classes`.
    unnamed : Unnamed
        What is done with text without `class_names`.

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
        place = _from_one_hot(array, name)
        columns = classes_of_columns(labels)
        if columns is None or class_names is None:
            return place
        if sorted(columns) != sorted(class_names):
            raise InvalidInputError(
                f"columns of {name} must be called after the classes, {listed(class_names)}; got "
                f"{listed(columns)}; rename them, or pass to_numpy() where their order is that of the classes"
            )
        return np.array([list(class_names).index(column) for column in columns])[place]
    if array.shape == (rows, 1):
        array = array[:, 0]
    if array.shape != (rows,):
        raise InvalidInputError(
            f"{name} must have one class per row, shape ({rows},), or be one-hot, shape ({rows}, {classes}), "
            f"got shape {array.shape}"
        )
    if array.dtype.kind == "U":
        return _from_names(array, classes, class_names, name, unnamed)
    if class_names is not None and not isinstance(labels, ClassNumbers):
        _check_meaning(array, class_names, name)
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
            f"{'; logits of shape (rows,) are those of a binary model' if classes == 2 else ''}"
        )
    return array.astype(np.int64, copy=False)


def _check_meaning(array: npt.NDArray[Any], class_names: Sequence[str], name: str) -> None:
    """Refuse numbers, or True and False, which could be places or names: names like them in another order."""
    places = ["False", "True"] if array.dtype.kind == "b" else list(check_class_names(None, len(class_names)))
    names = list(class_names)
    is_number = array.dtype.kind != "b" and all(text.isdecimal() for text in names)
    if array.size and names != places and (sorted(names) == places or is_number):
        raise InvalidInputError(
            f"{name} must be text where classes are called {listed(names)}, because these are not the places "
            f"{listed(places)} of the columns, got {array[0]}; convert the labels to text to mean the names, "
            "or rename the columns"
        )


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
    return _names_of_classes(found, classes, name, BY_ARGUMENT)


def _names_of_classes(found: Sequence[str], classes: int, name: str, unnamed: Unnamed) -> tuple[str, ...]:
    """Return the names of the classes for labels with these sorted different texts."""
    numbers = check_class_names(None, classes)
    if set(found) <= set(numbers):
        return numbers
    if not unnamed.are_all:
        raise InvalidInputError(
            f"{name} of a batch must be class numbers where nothing names the {classes} classes in their "
            f"order, got {len(found)} names: {listed(found)}; {unnamed.advice}"
        )
    if len(found) != classes:
        raise InvalidInputError(
            f"{name} must name each of the {classes} classes at least once if nothing else does, "
            f"got {len(found)} names: {listed(found)}; {unnamed.advice}"
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
                f"{name} must be class numbers or names, got {array[place]} in row {place[0]}; pass logits "
                "first and labels second (probabilities as targets are for the losses)"
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
    array: npt.NDArray[Any], classes: int, class_names: Sequence[str] | None, name: str, unnamed: Unnamed
) -> IntArray:
    found, inverse = np.unique(array, return_inverse=True)
    if class_names is None:
        class_names = _names_of_classes(found.tolist(), classes, name, unnamed)
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
