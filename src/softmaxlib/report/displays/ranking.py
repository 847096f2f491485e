"""Displays of how well scores separate a class from the others: ROC, and precision against recall."""

from typing import TYPE_CHECKING

import numpy as np

from ...metrics import PrecisionRecallCurve, RocCurve, precision_recall_curve, roc_curve
from .base import RIGHT, CurveDisplay, mark
from .spots import Spot, point, some_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RocDisplay(CurveDisplay):
    """Share of the rows of a class that are found, against the share of the others that are taken for it.

    The dashed line is chance. ``from_predictions`` takes the options of :func:`softmaxlib.metrics.roc_curve`
    too: ``class_index``, ``sample_weight``.

    Parameters
    ----------
    curve : RocCurve
        From :func:`softmaxlib.metrics.roc_curve`.
    chosen : pair of float, optional
        False positive rate and true positive rate of a policy, marked on the plot.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import RocDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> rows = [0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]
    >>> display = RocDisplay.from_predictions(*rows, probabilities=True, ax=ax)
    >>> display.area
    0.75
    """

    curve: RocCurve
    _curve_of = staticmethod(roc_curve)

    def __init__(self, curve: RocCurve, *, chosen: tuple[float, float] | None = None) -> None:
        super().__init__(curve)
        self.chosen = chosen

    @property
    def area(self) -> float:
        """Return the area under the curve."""
        heights = self.curve.true_positive_rate
        return float(np.diff(self.curve.false_positive_rate) @ (heights[1:] + heights[:-1])) / 2

    def describe(self) -> str:
        """Say how large the area under the curve is."""
        return f"The area under the curve is {self.area:.3f}; 0.5 is chance and 1 is best."

    def spots(self) -> list[Spot]:
        """Points along the curve."""
        curve = self.curve
        return [
            point(
                float(100 * curve.false_positive_rate[one]),
                float(100 * curve.true_positive_rate[one]),
                f"{curve.true_positive_rate[one]:.1%} found, {curve.false_positive_rate[one]:.1%} of the "
                f"others taken for it: from a probability of {min(curve.threshold[one], 1.0):.2%} on",
            )
            for one in some_of(len(curve.threshold))
        ]

    def _draw(self, ax: "Axes") -> None:
        neutral = ax.xaxis.label.get_color()
        found, alarms = 100 * self.curve.true_positive_rate, 100 * self.curve.false_positive_rate
        ax.plot([0, 100], [0, 100], color=neutral, linewidth=0.8, linestyle=(0, (4, 4)), label="chance")
        ax.plot(alarms, found, color=RIGHT, linewidth=1.6, label=f"area {self.area:.3f}")
        if self.chosen is not None:
            mark(ax, 100 * self.chosen[0], 100 * self.chosen[1], "this policy", below=True)
        ax.legend(loc="lower right")
        ax.set(xlim=(-1, 100), ylim=(0, 101), aspect="equal")
        ax.set(xlabel="others that are taken for it, %", ylabel="rows of the class that are found, %")


class PrecisionRecallDisplay(CurveDisplay):
    """Share of the rows taken for a class that are of it, against the share of its rows that are found.

    The dashed line is chance: the share of the class. ``from_predictions`` takes the options of
    :func:`softmaxlib.metrics.precision_recall_curve` too: ``class_index``, ``sample_weight``.

    Parameters
    ----------
    curve : PrecisionRecallCurve
        From :func:`softmaxlib.metrics.precision_recall_curve`.
    chosen : pair of float, optional
        Recall and precision of a policy, marked on the plot.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import PrecisionRecallDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> rows = [0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]
    >>> display = PrecisionRecallDisplay.from_predictions(*rows, probabilities=True, ax=ax)
    >>> round(display.area, 4)
    0.8333
    """

    curve: PrecisionRecallCurve
    _curve_of = staticmethod(precision_recall_curve)

    def __init__(self, curve: PrecisionRecallCurve, *, chosen: tuple[float, float] | None = None) -> None:
        super().__init__(curve)
        self.chosen = chosen

    @property
    def area(self) -> float:
        """Return the average precision: the area under the steps."""
        return float(np.diff(self.curve.recall, prepend=0.0) @ self.curve.precision)

    def describe(self) -> str:
        """Say how large the average precision is."""
        chance = self.curve.precision[-1]
        return f"The average precision is {self.area:.3f}; {chance:.3f} is chance and 1 is best."

    def spots(self) -> list[Spot]:
        """Points along the curve."""
        curve = self.curve
        return [
            point(
                float(100 * curve.recall[one]),
                float(100 * curve.precision[one]),
                f"{curve.recall[one]:.1%} found, {curve.precision[one]:.1%} of those taken for it are of it: "
                f"from a probability of {curve.threshold[one]:.2%} on",
            )
            for one in some_of(len(curve.threshold))
        ]

    def _draw(self, ax: "Axes") -> None:
        precision, recall = 100 * self.curve.precision, 100 * self.curve.recall
        neutral = ax.xaxis.label.get_color()
        chance = {"color": neutral, "linewidth": 0.8, "linestyle": (0, (4, 4))}
        ax.axhline(precision[-1], label=f"chance {precision[-1]:.1f}%", **chance)
        recall, precision = np.append(0.0, recall), np.append(precision[0], precision)
        ax.step(recall, precision, color=RIGHT, linewidth=1.6, label=f"average precision {self.area:.3f}")
        if self.chosen is not None:
            mark(ax, 100 * self.chosen[0], 100 * self.chosen[1], "this policy", below=True)
        ax.legend(loc="best")
        ax.set(xlim=(0, 101), ylim=(0, 101))
        ax.set(xlabel="rows of the class that are found, %", ylabel="of the class, of those taken for it, %")
