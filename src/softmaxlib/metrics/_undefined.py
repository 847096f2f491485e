"""Warnings of figures, such as those of nothing: said once, not once more for every resample."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .._warn import warn_user

_resampling: ContextVar[bool] = ContextVar("the rows are drawn again", default=False)
_collected: ContextVar[list[str] | None] = ContextVar("what would be said", default=None)


def warn_of_figure(message: str) -> None:
    """Warn of the figure of some rows, unless they were drawn from rows that it was said of."""
    collected = _collected.get()
    if collected is not None:
        collected.append(message)
    elif not _resampling.get():
        warn_user(message)


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect these warnings, for a caller that warns once about many figures."""
    said: list[str] = []
    token = _collected.set(said)
    try:
        yield said
    finally:
        _collected.reset(token)


@contextmanager
def resampling() -> Iterator[None]:
    """Suppress these warnings for a resample."""
    token = _resampling.set(True)
    try:
        yield
    finally:
        _resampling.reset(token)
