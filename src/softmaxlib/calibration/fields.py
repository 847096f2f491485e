"""What a calibration keeps, declared once: how each value is written, and what it may be when read."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import _json


class Field(Protocol):
    """One attribute of a calibration: to JSON, and back with every check."""

    def encode(self, value: Any) -> Any:
        """The value as JSON."""
        ...

    def decode(self, value: Any, place: str, classes: int) -> Any:
        """The value from untrusted JSON; `place` names it in errors."""
        ...


@dataclass(frozen=True)
class Number:
    """A finite number in [lower, upper]."""

    lower: float = -np.inf
    upper: float = np.inf

    def encode(self, value: float) -> float:
        """As a JSON number; Python writes and reads float64 without loss."""
        return float(value)

    def decode(self, value: Any, place: str, classes: int) -> float:
        """A float within bounds."""
        del classes
        return _json.decode_number(value, place, lower=self.lower, upper=self.upper)


@dataclass(frozen=True)
class Integer:
    """A whole number, at least `lower`."""

    lower: int = 0

    def encode(self, value: int) -> int:
        """As a JSON integer."""
        return int(value)

    def decode(self, value: Any, place: str, classes: int) -> int:
        """An integer within bounds."""
        del classes
        return _json.decode_integer(value, place, lower=self.lower)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    choices: tuple[str, ...]

    def encode(self, value: str) -> str:
        """As a JSON text."""
        return value

    def decode(self, value: Any, place: str, classes: int) -> str:
        """One of the choices."""
        del classes
        return _json.decode_choice(value, place, self.choices)


@dataclass(frozen=True)
class OrNone:
    """Another field, or None."""

    field: Field

    def encode(self, value: Any) -> Any:
        """As null, or as the field has it."""
        return None if value is None else self.field.encode(value)

    def decode(self, value: Any, place: str, classes: int) -> Any:
        """None, or what the field makes of it."""
        return None if value is None else self.field.decode(value, place, classes)


@dataclass(frozen=True)
class Array:
    """A float64 or int64 array, finite.

    Parameters
    ----------
    shape : tuple of str or int
        One word an axis: "classes" for as many as there are classes, "any" for any length, or a number.
    kind : {"f", "i"}
        Float or integer.
    """

    shape: tuple[str | int, ...]
    kind: str = "f"

    def encode(self, value: np.ndarray) -> dict[str, Any]:
        """As dtype, shape and base64."""
        return _json.encode_array(value)

    def decode(self, value: Any, place: str, classes: int) -> np.ndarray:
        """An array of the declared kind and shape."""
        lengths = {"classes": classes, "any": None}
        shape = tuple(axis if isinstance(axis, int) else lengths[axis] for axis in self.shape)
        return _json.decode_array(value, place, kind=self.kind, shape=shape).astype(f"{self.kind}8")
