"""One of a few words; yes and no; a sequence of things."""

import contextlib
from collections.abc import Iterable
from typing import Any, TypeVar

import numpy as np

from .._text import quoted, shortened
from ..errors import InvalidInputError, UnsupportedTypeError

Word = TypeVar("Word", bound=str)


def check_choice(value: str, name: str, choices: Iterable[Word]) -> Word:
    """Check and return one of the words that an argument may be."""
    known = ", ".join(choices)
    if not isinstance(value, str):
        raise UnsupportedTypeError(f"{name} must be one of {known}; got a {type(value).__name__}")
    for choice in choices:
        if choice == value:
            return choice
    raise InvalidInputError(f"{name} must be one of {known}; got {quoted([value])}")


def check_flag(value: bool, name: str) -> bool:
    """Check and return True or False. A text such as ``"no"`` would count as True."""
    if not isinstance(value, bool | np.bool_):
        raise UnsupportedTypeError(f"{name} must be True or False, got {shortened(repr(value), 200)}")
    return bool(value)


def check_sequence(values: Iterable[Any], name: str, of: str) -> tuple[Any, ...]:
    """Check and return several things in their order. A text is one thing, and a set has no order."""
    if not isinstance(values, str | bytes | set | frozenset):
        with contextlib.suppress(TypeError):
            return tuple(values)
    got = shortened(repr(values), 200)
    raise UnsupportedTypeError(f"{name} must be a sequence of {of}, such as a list; got {got}")
