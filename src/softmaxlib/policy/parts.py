"""The two parts of a policy, as they are given."""

import copy
from typing import Any, TypeVar

from ..errors import UnsupportedTypeError

T = TypeVar("T")


def copy_of_part(part: Any, kind: type[T], name: str, example: str) -> T:
    """A copy of a calibration or a rule, so that what was given is never changed; a class is refused."""
    if not isinstance(part, kind):
        made = "; put () behind it" if isinstance(part, type) and issubclass(part, kind) else ""
        raise UnsupportedTypeError(f"{name} must be a {kind.__name__}, such as {example}, got {part!r}{made}")
    return copy.deepcopy(part)
