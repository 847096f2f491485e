"""Renamed things: an old name raises an error that gives the new one."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, ParamSpec, TypeVar

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

NEW_NAMES = {
    "from_probabilities": "probabilities",
    "weight": "class_weight",
    "folds": "cv",
    "bins": "n_bins",
    "calibration": "method",
    "seed": "random_state",
}


def checked_keywords(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Name the new keyword in the error for an old one, or for an array as the flag `probabilities`."""
    known = inspect.signature(function).parameters
    renamed = {old: new for old, new in NEW_NAMES.items() if new in known and old not in known}
    flagged = "probabilities" in known

    @functools.wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        for name in kwargs:
            if name in renamed:
                raise TypeError(f"{_name(function)}() takes {renamed[name]}=... instead of {name}=...")
        if flagged and not isinstance(kwargs.get("probabilities", False), bool):
            raise TypeError(
                f"{_name(function)}() takes probabilities=True or False: pass the array of probabilities as "
                "the first argument, with probabilities=True"
            )
        return function(*args, **kwargs)

    return checked


def with_new_names(content: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Return the fields of a file, those of an earlier version under the names that they have now."""
    renamed = {old: new for old, new in NEW_NAMES.items() if new in known and new not in content}
    return {renamed.get(name, name): content[name] for name in content}


class RenamedMethod:
    """A method under its old name, which raises an error with the new one."""

    def __init__(self, call: str) -> None:
        self._call = call

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no such method any more: call {self._call}")


def _name(function: Callable[..., object]) -> str:
    """Return the name that a user calls: the class for a constructor."""
    return function.__qualname__.removesuffix(".__init__")
