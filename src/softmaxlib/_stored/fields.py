"""Declared fields of fitted objects: how values are written, and which are allowed when read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import _json
from .._renamed import NEW_NAMES
from ..errors import FileFormatError

Schema = dict[str, Any]


class Field(Protocol):
    """One attribute: to JSON, and back with every check."""

    def encode(self, value: Any) -> Any:
        """Convert the value to JSON."""
        ...

    def decode(self, value: Any, place: str, classes: int) -> Any:
        """Read the value from untrusted JSON; `place` names it in errors."""
        ...

    def schema(self) -> Schema:
        """Return its JSON Schema."""
        ...


@dataclass(frozen=True)
class Number:
    """A finite number in [lower, upper]."""

    lower: float = -np.inf
    upper: float = np.inf

    def encode(self, value: float) -> float:
        """Write as a JSON number; Python writes and reads float64 without loss."""
        return float(value)

    def decode(self, value: Any, place: str, classes: int) -> float:
        """Read a float within bounds."""
        del classes
        return _json.decode_number(value, place, lower=self.lower, upper=self.upper)

    def schema(self) -> Schema:
        """Describe a number within bounds."""
        bounds = {"minimum": self.lower, "maximum": self.upper}
        return {"type": "number", **{name: bound for name, bound in bounds.items() if np.isfinite(bound)}}


@dataclass(frozen=True)
class Integer:
    """A whole number, at least `lower`."""

    lower: int = 0

    def encode(self, value: int) -> int:
        """Write as a JSON integer."""
        return int(value)

    def decode(self, value: Any, place: str, classes: int) -> int:
        """Read an integer within bounds."""
        del classes
        return _json.decode_integer(value, place, lower=self.lower)

    def schema(self) -> Schema:
        """Describe a whole number within bounds."""
        return {"type": "integer", "minimum": self.lower}


@dataclass(frozen=True)
class Boolean:
    """True or false."""

    def encode(self, value: bool) -> bool:
        """Write as JSON has it."""
        return bool(value)

    def decode(self, value: Any, place: str, classes: int) -> bool:
        """Read a boolean."""
        del classes
        return _json.decode_boolean(value, place)

    def schema(self) -> Schema:
        """Describe a boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Texts:
    """Some texts."""

    def encode(self, value: Sequence[str]) -> list[str]:
        """Write as a list."""
        return list(value)

    def decode(self, value: Any, place: str, classes: int) -> tuple[str, ...]:
        """Read a tuple of texts."""
        del classes
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise FileFormatError(f"{place} must be a list of texts; {_json.ADVICE}")
        return tuple(value)

    def schema(self) -> Schema:
        """Describe a list of texts."""
        return {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    choices: tuple[str, ...]

    def encode(self, value: str) -> str:
        """Write as a JSON text."""
        return value

    def decode(self, value: Any, place: str, classes: int) -> str:
        """One of the choices."""
        del classes
        return _json.decode_choice(value, place, self.choices)

    def schema(self) -> Schema:
        """One of the choices."""
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class OrNone:
    """Another field, or None."""

    field: Field

    def encode(self, value: Any) -> Any:
        """Write as null, or as the field has it."""
        return None if value is None else self.field.encode(value)

    def decode(self, value: Any, place: str, classes: int) -> Any:
        """Read null as None, and other values as the field does."""
        return None if value is None else self.field.decode(value, place, classes)

    def schema(self) -> Schema:
        """Describe null, or a value of the field."""
        return {"anyOf": [{"type": "null"}, self.field.schema()]}


@dataclass(frozen=True)
class Array:
    """A float64 or int64 array.

    Parameters
    ----------
    shape : tuple of str or int
        One word an axis: "classes" for as many as there are classes, "any" for any length, or a number.
    kind : {"f", "i"}
        Float or integer.
    finite : bool, default True
        Whether NaN and infinity are refused.
    """

    shape: tuple[str | int, ...]
    kind: str = "f"
    finite: bool = True

    def encode(self, value: np.ndarray) -> dict[str, Any]:
        """Write as numbers, and as base64 where there are many."""
        return _json.encode_array(value)

    def decode(self, value: Any, place: str, classes: int) -> np.ndarray:
        """Read an array of the declared kind and shape."""
        lengths = {"classes": classes, "any": None}
        shape = tuple(axis if isinstance(axis, int) else lengths[axis] for axis in self.shape)
        array = _json.decode_array(value, place, kind=self.kind, shape=shape, finite=self.finite)
        return array.astype(f"{self.kind}8")

    def schema(self) -> Schema:
        """Describe numbers in lists, or bytes in base64."""
        numbers: Schema = {"type": "number" if self.kind == "f" else "integer"}
        if not self.finite:
            numbers = {"anyOf": [numbers, {"enum": ["inf", "-inf"]}]}
        for axis in reversed(self.shape):
            length = {"minItems": axis, "maxItems": axis} if isinstance(axis, int) else {}
            numbers = {"type": "array", "items": numbers, **length}
        dtype = {"enum": ["<f8", "<f4"] if self.kind == "f" else ["<i8"]}
        axes = len(self.shape)
        lengths = {"type": "array", "items": {"type": "integer", "minimum": 0}}
        coded = {
            "dtype": dtype,
            "shape": {**lengths, "minItems": axes, "maxItems": axes},
            "base64": {"type": "string", "contentEncoding": "base64"},
        }
        return {"anyOf": [object_schema({"dtype": dtype, "numbers": numbers}), object_schema(coded)]}


def object_schema(properties: Mapping[str, Schema], optional: Collection[str] = ()) -> Schema:
    """Describe a JSON object with exactly these fields; a field may have its earlier name."""
    renamed = {new: old for old, new in NEW_NAMES.items() if new in properties}
    schema: Schema = {
        "type": "object",
        "properties": {**properties, **{old: properties[new] for new, old in renamed.items()}},
        "required": [name for name in properties if name not in optional and name not in renamed],
        "additionalProperties": False,
    }
    if renamed:
        schema["allOf"] = [
            {"oneOf": [{"required": [new]}, {"required": [old]}]} for new, old in renamed.items()
        ]
    return schema
