"""Displays as inline SVG with the page's own colours: one drawing for light, dark and print."""

import io
import re
import warnings
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .._extras import require
from .._text import printable
from .displays import Display, Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import LayoutEngine
    from matplotlib.typing import RcKeyType

# Placeholder colours for matplotlib, one per role, and the CSS that replaces them.
_ROLES = {
    "#010203": "var(--ink)",
    "#040506": "var(--faint)",
    "#070809": "var(--accent)",
    "#0a0b0c": "var(--second)",
    "#0d0e0f": "var(--alarm)",
    "#101112": "var(--rule)",
}
_INK, _FAINT, _ACCENT, _SECOND, _ALARM, _RULE = _ROLES

_POINTS_AN_INCH = 72
_LEAST_SPOT = 10.0  # the shortest side of a spot
_MARK = '<circle class="moving" r="7" cx="-20" cy="-20"/>'


class Drawing(NamedTuple):
    """A display as an ``<svg>`` element, and the places of given points in its units.

    Attributes
    ----------
    svg : str
        Text from outside is escaped.
    places : list of (float, float), or None
        One each; None for a point that is not finite.
    """

    svg: str
    places: list[tuple[float, float] | None]


def to_svg(
    display: Display,
    label: str,
    *,
    width: float = 4.6,
    height: float = 3.5,
    points: Sequence[tuple[float, float]] = (),
) -> Drawing:
    """Draw a display, with its values where the pointer rests on them.

    Parameters
    ----------
    display : Display
        What to draw.
    label : str
        What a screen reader says first, then what the display says of itself; escaped here.
    width, height : float
        In inches at 72 points each; on the page it scales to its column.
    points : sequence of (float, float)
        Points in the coordinates of the data, whose places are wanted. Where there are any, the drawing has a
        mark that can be moved to them.
    """
    require("matplotlib", "drawing")
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style(label)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has more fonts than matplotlib
        figure = Figure(figsize=(width, height), dpi=_POINTS_AN_INCH, layout="constrained")
        FigureCanvasSVG(figure)
        ax = figure.subplots()
        display.plot(ax)
        # Otherwise `savefig` draws twice, the first time to lay out the drawing.
        cast("LayoutEngine", figure.get_layout_engine()).execute(figure)
        figure.set_layout_engine("none")
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    plane = _Plane(ax, width, height)
    over = [plane.spot(spot) for spot in display.spots()]
    if points:
        over.append(_MARK)
    text = printable(f"{label}. {display.describe()}")
    return Drawing(_themed(buffer.getvalue(), text, "".join(over)), [plane.place(*point) for point in points])


class _Plane:
    """The map from the coordinates of the data to the units of the drawing."""

    def __init__(self, ax: "Axes", width: float, height: float) -> None:
        self._ax = ax
        self._figure = cast("Figure", ax.get_figure(root=True))
        self._size = _POINTS_AN_INCH * width, _POINTS_AN_INCH * height
        self._x, self._y = sorted(ax.get_xlim()), sorted(ax.get_ylim())

    def place(self, x: float, y: float) -> tuple[float, float] | None:
        """Return the place of a point; None if it is not finite or outside the frame."""
        if not (self._x[0] <= x <= self._x[1] and self._y[0] <= y <= self._y[1]):
            return None
        shown = self._ax.transData.transform((x, y))
        right, up = self._figure.transFigure.inverted().transform(shown)
        return round(float(right) * self._size[0], 2), round((1 - float(up)) * self._size[1], 2)

    def spot(self, spot: Spot) -> str:
        """Return a transparent rectangle with its value, large enough to point at."""
        ends = (spot.left, spot.bottom), (spot.right, spot.top)
        corners = [
            self.place(min(max(x, self._x[0]), self._x[1]), min(max(y, self._y[0]), self._y[1]))
            for x, y in ends
        ]
        if None in corners:
            return ""
        (x, y), (other_x, other_y) = corners  # type: ignore[misc]
        left, wide = _grown(x, other_x)
        top, high = _grown(y, other_y)
        return (
            f'<rect class="spot" x="{left:g}" y="{top:g}" width="{wide:g}" height="{high:g}">'
            f"<title>{escape(printable(spot.text))}</title></rect>"
        )


def _grown(one: float, other: float) -> tuple[float, float]:
    """Return the start and the length of a side, at least a few points long."""
    start, end = sorted((one, other))
    missing = max(0.0, _LEAST_SPOT - (end - start))
    return round(start - missing / 2, 2), round(end - start + missing, 2)


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


def _themed(text: str, label: str, over: str) -> str:
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
    end = body.rindex("</svg>")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view.group()} '
        f'role="img" aria-label="{escape(label)}">{body[:end]}{over}</svg>'
    )
