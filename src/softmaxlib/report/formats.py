"""Formats of the figures on the pages."""

import datetime
from math import isfinite
from typing import Any

from .._text import format_count, printable
from ..decisions.words import percent
from .groups import Measured

TOO_FEW = "too few rows to tell"
_NO_FIGURE = "\u2013"
_LEAST_WRITTEN = 1e-5  # a smaller share is not written with its digits


def shown(value: Any) -> Any:
    """Make control characters of a text from outside visible; leave the templates' own markup unchanged."""
    return printable(value) if type(value) is str else value


def counted(count: float, noun: str) -> str:
    """Write how many there are of something: 1 row, 2 rows, 1 class, 2 classes."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{format_count(count)} {noun}{ending}"


def share(value: float) -> str:
    """Format a share in percent; only an exact 0 or 1 becomes 0% or 100%."""
    if not isfinite(value):
        return _NO_FIGURE
    text = f"{100 * value:.1f}%"
    if text == "0.0%" and value > 0:
        return f"{100 * value:.1g}%" if value >= _LEAST_WRITTEN else f"below {_LEAST_WRITTEN:.3%}"
    if text == "100.0%" and value < 1:
        return percent(value) if value <= 1 - _LEAST_WRITTEN else f"above {1 - _LEAST_WRITTEN:.3%}"
    return text


def number(value: float) -> str:
    """Format a number with four digits."""
    return _NO_FIGURE if not isfinite(value) else f"{value:.4g}"


def share_interval(value: float, lower: float, upper: float) -> str:
    """Format a share with its interval."""
    return _NO_FIGURE if not isfinite(value) else f"{share(value)} ({share(lower)} to {share(upper)})"


def ranged(low: str, high: str) -> str:
    """Join the ends of a range; of equal ones, give one."""
    return low if low == high else f"{low} to {high}"


def share_range(measured: Measured) -> str:
    """Format the interval of a share."""
    return _range(share(measured.lower), share(measured.upper), measured)


def number_range(measured: Measured) -> str:
    """Format the interval of a number."""
    return _range(number(measured.lower), number(measured.upper), measured)


def chance(p_value: float) -> str:
    """Format a p-value."""
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.3f}" if p_value < 0.01 else f"{p_value:.2f}"


def p_is(p_value: float) -> str:
    """Format a p-value as an equation."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def moment(time: str) -> str:
    """Format a time for readers; return a text that is not a time unchanged."""
    try:
        return f"{datetime.datetime.fromisoformat(time):%d %B %Y, %H:%M %Z}".strip()
    except ValueError:
        return time


def _range(lower: str, upper: str, measured: Measured) -> str:
    """Format an interval, or say that there are too few rows for one."""
    return f"{lower} to {upper}" if isfinite(measured.lower) else TOO_FEW
