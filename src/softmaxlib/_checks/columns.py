"""Class names from the columns of a frame."""

from typing import Any

_LIBRARIES = ("pandas", "polars", "pyarrow")
_PREFIXES = ("logit_", "probability_")


def classes_of_columns(table: Any) -> tuple[str, ...] | None:
    """Return the classes that a frame's columns are called after, ``logit_`` before them or not; else None.

    A single column is a binary model's score and names no class. Nor do columns that are numbered from 0 in
    order, or that polars numbers where nobody named them.
    """
    if type(table).__module__.partition(".")[0] not in _LIBRARIES:
        return None
    names = tuple(str(name) for name in getattr(table, "column_names", getattr(table, "columns", ())))
    for prefix in _PREFIXES:
        if names and all(name.startswith(prefix) for name in names):
            names = tuple(name.removeprefix(prefix) for name in names)
            break
    numbered = tuple(str(index) for index in range(len(names)))
    if len(names) < 2 or names in (numbered, tuple(f"column_{number}" for number in numbered)):
        return None
    return names
