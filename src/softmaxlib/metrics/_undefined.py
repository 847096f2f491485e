"""Figures of nothing: said once, not once more for every resample."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .._warn import warn_user

_resampling: ContextVar[bool] = ContextVar("the rows are drawn again", default=False)


def warn_undefined(message: str) -> None:
    """Warn that rows don't define a figure, unless they were drawn from rows that do."""
    if not _resampling.get():
        warn_user(message)


@contextmanager
def resampling() -> Iterator[None]:
    """Keep quiet about what a resample lacks."""
    token = _resampling.set(True)
    try:
        yield
    finally:
        _resampling.reset(token)
