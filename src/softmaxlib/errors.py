"""Errors and warnings of softmaxlib.

::

    SoftmaxlibError
    ├── InvalidInputError        (also a ValueError)   a value breaks a rule
    │   ├── NotFittedError                             used before ``fit``
    │   └── FileFormatError                            a file is not what it should be
    ├── UnsupportedTypeError     (also a TypeError)    a type or dtype that has no meaning here
    └── WorkerError              (also a RuntimeError) another process ended before its work was done

    SoftmaxlibWarning            (a UserWarning)       the result is right, and something should be known

A message states the rule, the value received, where it was (row, column, file), and what to do next.
"""

__all__ = [
    "FileFormatError",
    "InvalidInputError",
    "NotFittedError",
    "SoftmaxlibError",
    "SoftmaxlibWarning",
    "UnsupportedTypeError",
    "WorkerError",
]


class SoftmaxlibError(Exception):
    """Base class: ``except SoftmaxlibError`` catches all errors below."""


class InvalidInputError(SoftmaxlibError, ValueError):
    """A value breaks a rule that the message states."""


class NotFittedError(InvalidInputError):
    """A calibration, rule or policy was used before it was fitted."""


class FileFormatError(InvalidInputError):
    """A file is missing, malformed, of another version, or for another model."""


class UnsupportedTypeError(SoftmaxlibError, TypeError):
    """A type or dtype that has no meaning here (complex logits, strings, objects)."""


class WorkerError(SoftmaxlibError, RuntimeError):
    """A process of an executor ended before its work was done."""


class SoftmaxlibWarning(UserWarning):
    """A warning: the result is right, but has a peculiarity that the user should know."""
