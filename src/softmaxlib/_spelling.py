"""The spelling of arguments in messages: as a keyword in Python, as an option at the command line."""

import re
import shlex
from collections.abc import Iterator, Sequence
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


def numbers_by_name(given: str, names: Sequence[str]) -> dict[str, float] | None:
    """Parse ``NAME=NUMBER,NAME=NUMBER`` with each of these names once, or return None.

    Names may hold commas and equals signs.
    """
    one_of_them = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pair = re.compile(rf"\s*({one_of_them})\s*=([^,=]*)(?:,(?=.)|$)", re.DOTALL)
    found: dict[str, float] = {}
    at = 0
    while at < len(given):
        match = pair.match(given, at)
        if match is None or match[1] in found:
            return None
        try:
            found[match[1]] = float(match[2])
        except ValueError:
            return None
        at = match.end()
    return found if len(found) == len(names) else None
