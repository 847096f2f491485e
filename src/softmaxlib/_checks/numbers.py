"""One number that somebody passes: real, positive, a share, whole."""

import math
import operator
from typing import Literal

import numpy as np

from ..errors import InvalidInputError, UnsupportedTypeError

Reduction = Literal["mean", "sum", "none"]


def check_real(value: float, name: str) -> float:
    """Check and return a real number, as a float."""
    if isinstance(value, (str, bytes)):
        raise UnsupportedTypeError(f"{name} must be one real number, got {value!r}; convert it with float()")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UnsupportedTypeError(f"{name} must be one real number, got {type(value).__name__}") from None


def check_positive(value: float, name: str, advice: str) -> float:
    """Check and return a finite number above zero, as a float."""
    number = check_real(value, name)
    if not 0 < number < float("inf"):
        raise InvalidInputError(f"{name} must be finite and above 0, got {value}; {advice}")
    return number


def check_nonnegative(value: float, name: str) -> None:
    """Check and return a finite number, zero or more."""
    if not (0 <= check_real(value, name) < math.inf):
        raise InvalidInputError(f"{name} must be finite and not negative, got {value}; 0 turns it off")


def check_share(value: float, name: str, advice: str) -> float:
    """Check and return a number above 0 and below 1, as a float."""
    number = check_real(value, name)
    if not 0 < number < 1:
        raise InvalidInputError(f"{name} must lie between 0 and 1, got {value}; {advice}")
    return number


def check_integer(value: int, name: str, *, lower: int, upper: int | None = None) -> int:
    """Check and return an integer in [lower, upper]. True and 2.0 are not integers."""
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise UnsupportedTypeError(f"{name} must be a whole number, got {value!r}; write 5, not 5.0")
    number = operator.index(value)
    if number < lower or (upper is not None and number > upper):
        limits = f"at least {lower}" if upper is None else f"{lower} to {upper}"
        raise InvalidInputError(f"{name} must be a whole number, {limits}; got {number}")
    return number


def check_label_smoothing(value: float) -> None:
    """Check and return a share of the target in [0, 1)."""
    if not 0 <= check_real(value, "label_smoothing") < 1:
        raise InvalidInputError(
            f"label_smoothing must lie in [0, 1), got {value}; 0 leaves the targets as they are"
        )


def check_softcap(softcap: float | None) -> None:
    """Check that the bound is None, or positive and finite."""
    if softcap is not None and not 0 < check_real(softcap, "softcap") < np.inf:
        raise InvalidInputError(
            f"softcap must be finite and greater than 0, got {softcap}; None turns it off"
        )


def check_reduction(reduction: str) -> Reduction:
    """Check the name of a reduction."""
    if reduction not in ("mean", "sum", "none"):
        raise InvalidInputError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction
