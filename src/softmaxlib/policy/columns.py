"""Names of classes: given by the user, or by the columns of a frame."""

from collections.abc import Sequence
from typing import Any

from .._checks import check_sequence, classes_of_columns
from .._text import listed
from ..errors import InvalidInputError


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
        if any("\ud800" <= letter <= "\udfff" for letter in name):
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
