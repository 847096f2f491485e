"""The names of the classes of a tally: the same in all batches, in one order."""

from collections.abc import Sequence
from typing import Any

from .. import _json
from .._checks.class_labels import check_class_names
from .._text import quoted
from ..errors import FileFormatError, InvalidInputError

Names = tuple[str, ...] | None


def checked_names(class_names: Sequence[str] | None, classes: int) -> Names:
    """Return the names that a tally was given, or None."""
    return None if class_names is None else check_class_names(class_names, classes)


def joined_names(one: Names, other: Names) -> Names:
    """Return the names of two tallies of as many classes, which must not differ where both have some."""
    if one is None or other is None or one == other:
        return one or other
    differing = (index for index, names in enumerate(zip(one, other, strict=True)) if names[0] != names[1])
    first = next(differing)
    got = f"{quoted(one[first : first + 1])} and {quoted(other[first : first + 1])}"
    raise InvalidInputError(
        f"tallies that are merged must have the same classes in the same order, got {got} as class {first}; "
        "tally frames with their columns in one order"
    )


def decoded_names(content: Any, place: str, classes: int) -> Names:
    """Read back the names in a file; nothing in it is trusted."""
    if content is None:
        return None
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise FileFormatError(f"{place} must be a list of texts or null; {_json.ADVICE}")
    try:
        return check_class_names(content, classes)
    except InvalidInputError as error:
        raise FileFormatError(f"{place} must name the classes: {error}; {_json.ADVICE}") from None
