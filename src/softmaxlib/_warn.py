"""Warnings that point at the user's own line, however deep in the package they are found."""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from .errors import SoftmaxlibWarning

_OURS = str(Path(__file__).parent)
_KEPT: ContextVar[list[str] | None] = ContextVar("kept", default=None)


def warn_user(message: str) -> None:
    """Issue a SoftmaxlibWarning at the nearest line outside this package."""
    kept = _KEPT.get()
    if kept is not None:
        kept.append(message)
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_OURS, contextlib.__file__)):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, SoftmaxlibWarning, stacklevel=level)


@contextlib.contextmanager
def kept_warnings() -> Iterator[list[str]]:
    """Collect this thread's warnings in the list within the block, for work done elsewhere."""
    kept: list[str] = []
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)
