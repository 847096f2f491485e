"""A display as inline SVG whose colours are the page's own: one drawing for light, dark and print."""

import io
import re
import warnings
from html import escape
from typing import TYPE_CHECKING, Any

from .._extras import require
from .displays import Display

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

# Colours that stand for a role while matplotlib draws, and the CSS that then takes their place.
_ROLES = {
    "#010203": "var(--ink)",
    "#040506": "var(--faint)",
    "#070809": "var(--accent)",
    "#0a0b0c": "var(--second)",
    "#0d0e0f": "var(--alarm)",
    "#101112": "var(--rule)",
}
_INK, _FAINT, _ACCENT, _SECOND, _ALARM, _RULE = _ROLES


def to_svg(display: Display, label: str, *, width: float = 4.6, height: float = 3.5) -> str:
    """Draw a display and return an ``<svg>`` element.

    Parameters
    ----------
    display : Display
        What to draw.
    label : str
        What a screen reader says; escaped here.
    width, height : float
        In inches at 72 points each; on the page it scales to its column.
    """
    require("matplotlib", "drawing")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style(label)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has more fonts than matplotlib
        figure = Figure(figsize=(width, height), layout="constrained")
        display.plot(figure.subplots())
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _themed(buffer.getvalue(), label)


def _style(label: str) -> "dict[RcKeyType, Any]":
    from cycler import cycler

    return {
        "svg.fonttype": "none",
        "svg.hashsalt": label,
        "font.size": 9,
        "axes.prop_cycle": cycler(color=[_ACCENT, _SECOND, _FAINT, _ALARM]),
        "text.color": _INK,
        "axes.labelcolor": _FAINT,
        "axes.edgecolor": _RULE,
        "xtick.color": _RULE,
        "ytick.color": _RULE,
        "xtick.labelcolor": _FAINT,
        "ytick.labelcolor": _FAINT,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _RULE,
        "grid.linewidth": 0.5,
        "grid.alpha": 0.6,
        "legend.frameon": False,
    }


def _themed(text: str, label: str) -> str:
    text = text[text.index("<svg") :]
    for color, role in _ROLES.items():
        text = text.replace(color, role)
    head = re.match(r"<svg[^>]*>", text)
    view = re.search(r'viewBox="[^"]*"', text)
    assert head is not None
    assert view is not None
    body = re.sub(r"<metadata>.*?</metadata>", "", text[head.end() :], flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # every figure counts from 1 again
    body = re.sub(
        r"font: ([^;\"]*px) [^;\"]*", r"font-size: \1", body
    )  # the page's typeface, not matplotlib's
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view.group()} '
        f'role="img" aria-label="{escape(label)}">{body}'
    )
