"""Findings as plain values that JSON can hold."""

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

NOT_IN_JSON = {"in_json": False}  # metadata of a field that is left out


def as_json(value: Any) -> Any:
    """Convert dataclasses, tuples and arrays to JSON values; NaN and infinity become null."""
    if is_dataclass(value):
        shown = [field.name for field in fields(value) if field.metadata.get("in_json", True)]
        return {name: as_json(getattr(value, name)) for name in shown}
    if hasattr(value, "_asdict"):
        return {name: as_json(part) for name, part in value._asdict().items()}
    if isinstance(value, dict):
        return {name: as_json(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, (list, tuple)):
        return [as_json(part) for part in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
