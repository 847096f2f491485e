"""The spelling of arguments in messages: as a keyword in Python, as an option at the command line."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_COMMAND_LINE: ContextVar[bool] = ContextVar("command_line", default=False)


@contextmanager
def spelled_as_options(wanted: bool = True) -> Iterator[None]:
    """Let messages within the block spell arguments as options of the command line."""
    token = _COMMAND_LINE.set(wanted)
    try:
        yield
    finally:
        _COMMAND_LINE.reset(token)


def are_spelled_as_options() -> bool:
    """Return True if messages spell arguments as options; a task in another thread needs to know."""
    return _COMMAND_LINE.get()


def argument(name: str, value: object = None) -> str:
    """Return how an argument is written: ``columns="a,b"``, or ``--columns a,b``; True for a flag."""
    if _COMMAND_LINE.get():
        option = "--" + name.replace("_", "-")
        return option if value is None or value is True else f"{option} {shlex.quote(str(value))}"
    if value is None:
        return f"{name}="
    return f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}"
