"""A fitted calibration inside another, in JSON."""

from dataclasses import dataclass
from typing import Any

from .. import _json
from .._stored import Schema
from ..errors import FileFormatError
from .base import Calibration


@dataclass(frozen=True)
class Nested:
    """One calibration, for the same classes as the one that it is inside of.

    Parameters
    ----------
    barred : tuple of str
        Classes that may not be nested here: those that nest others, so that a file has a bounded depth.
    """

    barred: tuple[str, ...]

    def encode(self, value: Calibration) -> Any:
        """Encode the calibration by its own description."""
        return value.to_dict()

    def decode(self, value: Any, place: str, classes: int) -> Calibration:
        """Read a fitted calibration, and check its number of classes."""
        known = {name: kind for name, kind in Calibration.of_files().items() if name not in self.barred}
        _json.find_class(value, place, known)
        nested = Calibration.from_dict(value)
        if nested.class_count_ != classes:
            raise FileFormatError(
                f"{place}.class_count_ must be {classes}, got {nested.class_count_}; {_json.ADVICE}"
            )
        return nested

    def schema(self) -> Schema:
        """Return the schema of any calibration. The reader rejects those that are not allowed."""
        return {"$ref": "#/$defs/calibration"}
