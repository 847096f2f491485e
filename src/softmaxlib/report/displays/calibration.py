"""Reliability diagrams."""

from typing import TYPE_CHECKING

import numpy as np

from ..._text import printable
from ...metrics import ReliabilityCurve, reliability_curve
from ..formats import counted
from .base import OTHER, RIGHT, CurveDisplay
from .spots import Spot, point

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class CalibrationDisplay(CurveDisplay):
    """Reliability diagram: accuracy against stated confidence, on the diagonal when calibrated.

    Points carry their 95% interval; the shaded band is where 95% of points would fall by chance were the
    confidences exactly right. The area of a point grows with the rows in its bin. ``from_predictions`` takes
    the options of :func:`softmaxlib.metrics.reliability_curve` too, such as ``class_index`` and ``n_bins``.

    Parameters
    ----------
    curve : ReliabilityCurve
        From :func:`softmaxlib.metrics.reliability_curve`.
    other : ReliabilityCurve, optional
        Drawn paler beneath, such as the same model before calibration.
    names : pair of str
        What the legend calls them, when there are two.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import CalibrationDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> display = CalibrationDisplay.from_predictions([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1], ax=ax)
    >>> display.ax_.get_xlabel()
    'stated confidence'
    """

    _curve_of = staticmethod(reliability_curve)

    def __init__(
        self,
        curve: ReliabilityCurve,
        *,
        other: ReliabilityCurve | None = None,
        names: tuple[str, str] = ("after calibration", "before"),
    ) -> None:
        super().__init__(curve)
        self.other = other
        self.names = names

    def describe(self) -> str:
        """Say where stated confidence and actual accuracy are furthest apart."""
        curve = self.curve
        worst = int(np.argmax(np.abs(curve.confidence - curve.frequency) * np.sqrt(curve.weight)))
        return (
            f"Actual accuracy in {counted(len(curve.confidence), 'bin')} of stated confidence, from "
            f"{curve.confidence[0]:.1%} to {curve.confidence[-1]:.1%}. The clearest gap: the mean confidence "
            f"is {curve.confidence[worst]:.1%} in a bin where {curve.frequency[worst]:.1%} of the rows are "
            "right."
        )

    def spots(self) -> list[Spot]:
        """Return each bin with its interval."""
        curve = self.curve
        parts = (curve.confidence, curve.frequency, curve.lower, curve.upper, curve.weight)
        return [
            point(
                stated,
                actual,
                f"stated {stated:.1%}, right {actual:.1%} (95% interval {low:.1%} to {high:.1%}), "
                f"{counted(weight, 'row')}",
            )
            for stated, actual, low, high, weight in zip(*(part.tolist() for part in parts), strict=True)
        ]

    def _draw(self, ax: "Axes") -> None:
        curve = self.curve
        neutral = ax.xaxis.label.get_color()
        ax.plot([0, 1], [0, 1], color=neutral, linewidth=0.8, linestyle=(0, (4, 4)))
        for low, high, left, right in zip(
            curve.null_lower, curve.null_upper, curve.lower_edge, curve.upper_edge, strict=True
        ):
            ax.fill_between([left, right], low, high, color=neutral, alpha=0.13, linewidth=0)
        if self.other is not None:
            self._draw_points(ax, self.other, OTHER, self.names[1], intervals=False)
        self._draw_points(ax, curve, RIGHT, self.names[0], intervals=True)
        if self.other is not None:
            ax.legend(loc="upper left")
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated confidence", ylabel="actual accuracy", aspect="equal")

    @staticmethod
    def _draw_points(ax: "Axes", curve: ReliabilityCurve, color: str, name: str, intervals: bool) -> None:
        area = 12 + 90 * curve.weight / curve.weight.max()
        if intervals:
            ax.vlines(curve.confidence, curve.lower, curve.upper, color=color, linewidth=1.4)
        ax.plot(curve.confidence, curve.frequency, color=color, linewidth=1, alpha=0.6)
        ax.scatter(
            curve.confidence,
            curve.frequency,
            area,
            color=color,
            label=printable(name),
            zorder=3,
            clip_on=False,
        )
