"""Bundles of options: several options of a command become one argument of its function."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def in_place_of(
    name: str,
    options: Sequence[inspect.Parameter],
    make: Callable[[Mapping[str, Any]], object],
    command: Callable[..., None],
) -> Callable[..., None]:
    """Give a command some options in place of one parameter, and make the argument from their values.

    Parameters
    ----------
    name : str
        The parameter of `command`.
    options : sequence of inspect.Parameter
        The options of the command line.
    make : function
        Makes the argument from the values of the options, by their names.
    command : function
        The command.
    """
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for one in signature.parameters.values():
        ours = options if one.name == name else [one]
        parameters += [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in ours]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        said = {option.name: given.pop(option.name) for option in options}
        command(**given, **{name: make(said)})

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
