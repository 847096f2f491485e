"""Names of other libraries and of earlier files: as a keyword they raise an error that gives ours."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
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
NAMES_ELSEWHERE = {
    "dim": "axis",
    "axis": "dim",
    "keepdim": "keepdims",
    "keepdims": "keepdim",
    "mask": "where",
    "T": "temperature",
    "tau": "temperature",
    "smoothing": "label_smoothing",
    "gamma": "focal_gamma",
    "sample_weights": "sample_weight",
    "costs": "cost",
}


def other_names(function: Callable[..., Any]) -> dict[str, str]:
    """Return other names of a function's parameters, with the right ones."""
    known = inspect.signature(function).parameters
    names = {**NEW_NAMES, **NAMES_ELSEWHERE}
    return {other: name for other, name in names.items() if name in known and other not in known}


def refuse_other_names(
    function: Callable[..., Any], others: Mapping[str, str], args: Sequence[Any], keywords: Collection[str]
) -> None:
    """Raise if a keyword is another name of a parameter, and give the right one."""
    for name in keywords:
        if name in others:
            raise TypeError(f"{_name(function, args)}() takes {others[name]}=... instead of {name}=...")


def checked_keywords(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Refuse other names of parameters, and an array as the flag `probabilities`."""
    others = other_names(function)
    flagged = "probabilities" in inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if kwargs:
            refuse_other_names(function, others, args, kwargs)
        if flagged and not isinstance(kwargs.get("probabilities", False), bool):
            raise TypeError(
                f"{_name(function, args)}() takes probabilities=True or False: pass the array of "
                "probabilities as the first argument, with probabilities=True"
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


def _name(function: Callable[..., object], args: Sequence[Any]) -> str:
    """Return the name that a user calls: for a constructor, the class of the object that it makes."""
    return type(args[0]).__name__ if function.__name__ == "__init__" else function.__qualname__
