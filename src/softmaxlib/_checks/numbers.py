"""One number that somebody passes: real, positive, a share, whole."""

import math
import operator
from typing import Literal

import numpy as np

from .._text import shortened, written_integer
from ..errors import InvalidInputError, UnsupportedTypeError
from .choices import check_choice

LARGEST_REPETITIONS = 100_000_000  # of draws and simulations: what a process can hold

Reduction = Literal["mean", "sum", "none"]
_REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum", "none")


def check_real(value: float, name: str) -> float:
    """Check and return a real number, as a float. Refuse True, and a tensor that requires a gradient."""
    if type(value) is float:
        return value
    if isinstance(value, (str, bytes)):
        raise UnsupportedTypeError(f"{name} must be one real number, got {value!r}; convert it with float()")
    if isinstance(value, bool | np.bool_):
        raise UnsupportedTypeError(f"{name} must be one real number, got {value}; write 1.0 or 0.0")
    # an int is not asked: while torch.compile traces one, it has no attributes
    if type(value) is not int and getattr(value, "requires_grad", False):
        raise UnsupportedTypeError(
            f"{name} is a constant, got a tensor that requires a gradient, which it would not get; pass "
            f"{name}.item()"
        )
    try:
        return float(value)
    except OverflowError:
        got = written_integer(value)
        raise InvalidInputError(
            f"{name} must lie between -1.8e308 and 1.8e308, got {got}; scale it"
        ) from None
    except (TypeError, ValueError):
        raise UnsupportedTypeError(f"{name} must be one real number, got {type(value).__name__}") from None


def check_positive(value: float, name: str, advice: str) -> float:
    """Check and return a finite number above zero, as a float."""
    number = check_real(value, name)
    if not 0 < number < float("inf"):
        raise InvalidInputError(f"{name} must be finite and above 0, got {value}; {advice}")
    return number


def check_nonnegative(value: float, name: str) -> float:
    """Check and return a finite number, zero or more, as a float."""
    number = check_real(value, name)
    if not 0 <= number < math.inf:
        raise InvalidInputError(f"{name} must be finite and not negative, got {value}; 0 turns it off")
    return number


def check_share(value: float, name: str, advice: str) -> float:
    """Check and return a number above 0 and below 1, as a float."""
    number = check_real(value, name)
    if not 0 < number < 1:
        raise InvalidInputError(f"{name} must lie between 0 and 1, got {value}; {advice}")
    return number


def check_integer(value: int, name: str, *, lower: int, upper: int | None = None) -> int:
    """Check and return an integer in [lower, upper]. True and 2.0 are not integers."""
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:  # arrays have __index__, and refuse it unless they are one integer
        number = None
    if number is None:
        got = shortened(repr(value), 200)
        raise UnsupportedTypeError(f"{name} must be a whole number, got {got}; write 5, not 5.0")
    if number < lower or (upper is not None and number > upper):
        limits = f"at least {lower}" if upper is None else f"{lower} to {upper}"
        raise InvalidInputError(f"{name} must be a whole number, {limits}; got {written_integer(number)}")
    return number


def check_memory_budget(value: float, least: int, what: str) -> float:
    """Check and return a number of bytes, at least those that one row needs; infinity is no limit."""
    budget = check_real(value, "memory_budget")
    if not budget >= least:
        raise InvalidInputError(
            f"memory_budget must hold {what}, {least} bytes, got {value}; raise it to some hundred rows"
        )
    return min(budget, 2.0**62)


def check_label_smoothing(value: float) -> float:
    """Check and return a share of the target in [0, 1), as a float."""
    number = check_real(value, "label_smoothing")
    if not 0 <= number < 1:
        raise InvalidInputError(
            f"label_smoothing must lie in [0, 1), got {value}; 0 leaves the targets as they are"
        )
    return number


def check_softcap(softcap: float | None) -> float | None:
    """Check and return the bound: None, or a positive and finite number, as a float."""
    return None if softcap is None else check_positive(softcap, "softcap", "None turns it off")


def check_reduction(reduction: str) -> Reduction:
    """Check the name of a reduction."""
    return check_choice(reduction, "reduction", _REDUCTIONS)
