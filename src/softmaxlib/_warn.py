"""Warnings that point at the user's own line, however deep in the package they are found."""

import contextlib
import sys
import warnings
from pathlib import Path

from .errors import SoftmaxlibWarning

_OURS = str(Path(__file__).parent)


def warn_user(message: str) -> None:
    """Give a SoftmaxlibWarning at the nearest line that is not of this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith((_OURS, contextlib.__file__)):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, SoftmaxlibWarning, stacklevel=level)
