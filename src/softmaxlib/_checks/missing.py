"""Values that stand for a missing one."""

from typing import Any


def is_missing(value: Any) -> bool:
    """Return True for None, NaN and pandas' NA and NaT, whose comparisons have no truth value."""
    if isinstance(value, float):
        return value != value
    return value is None or type(value).__name__ in ("NAType", "NaTType")
