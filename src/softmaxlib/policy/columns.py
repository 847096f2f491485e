"""What the columns of a pandas or polars frame say about its classes."""

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidInputError

_PREFIXES = ("logit_", "probability_")


def classes_of_columns(table: Any) -> tuple[str, ...] | None:
    """The classes that a frame's columns are called after, ``logit_`` before them or not; else None.

    Numbered columns, and those that polars numbers where nobody named them, name no class.
    """
    if type(table).__module__.partition(".")[0] not in ("pandas", "polars"):
        return None
    names: tuple[Any, ...] = tuple(getattr(table, "columns", ()))
    if not names or not all(isinstance(name, str) for name in names):
        return None
    if names == tuple(f"column_{index}" for index in range(len(names))):
        return None
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in names):
            return tuple(name.removeprefix(prefix) for name in names)
    return names


def check_order_of_columns(table: Any, class_names: Sequence[str]) -> None:
    """Refuse a frame whose columns are the classes in another order: each would be taken for another."""
    found, expected = classes_of_columns(table), tuple(class_names)
    if found is not None and found != expected and sorted(found) == sorted(expected):
        raise InvalidInputError(
            "columns must be in the order of the classes that the policy was fitted on, "
            f"{', '.join(expected)}; got {', '.join(found)}; select them in that order"
        )
