"""How figures are written on the pages."""

import datetime
from math import isfinite
from typing import Any

from .._text import printable
from ..decisions.words import percent
from .groups import Measured

_NO_FIGURE = "\u2013"


def shown(value: Any) -> Any:
    """Return what the page shows of a text from outside; what the templates themselves are made of stays."""
    return printable(value) if type(value) is str else value


def share(value: float) -> str:
    """Write a share in percent, and never as 0% or 100% what is not quite that."""
    if not isfinite(value):
        return _NO_FIGURE
    text = f"{100 * value:.1f}%"
    if text == "0.0%" and value > 0:
        return f"{100 * value:.1g}%"
    return percent(value) if text == "100.0%" and value < 1 else text


def number(value: float) -> str:
    """Write a number in four digits."""
    return _NO_FIGURE if not isfinite(value) else f"{value:.4g}"


def share_interval(value: float, lower: float, upper: float) -> str:
    """Write a share with its interval."""
    return _NO_FIGURE if not isfinite(value) else f"{share(value)} ({share(lower)} to {share(upper)})"


def share_range(measured: Measured) -> str:
    """Write the interval of a share."""
    return _range(share(measured.lower), share(measured.upper), measured)


def number_range(measured: Measured) -> str:
    """Write the interval of a number."""
    return _range(number(measured.lower), number(measured.upper), measured)


def chance(p_value: float) -> str:
    """Write a p-value."""
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.3f}" if p_value < 0.01 else f"{p_value:.2f}"


def moment(time: str) -> str:
    """Write a time as a reader does; a text that is none, in a policy from elsewhere, as it is."""
    try:
        return f"{datetime.datetime.fromisoformat(time):%d %B %Y, %H:%M %Z}".strip()
    except ValueError:
        return time


def _range(lower: str, upper: str, measured: Measured) -> str:
    """An interval; where there are too few rows for one, that."""
    return f"{lower} to {upper}" if isfinite(measured.lower) else "too few rows to tell"
