"""Cost against the threshold of two classes."""

from typing import TYPE_CHECKING

import numpy as np

from ...metrics import CostThresholdCurve, cost_threshold_curve
from .base import OTHER, RIGHT, CurveDisplay
from .spots import Spot, columns, some_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOWEST = 1e-4  # threshold that is drawn


class CostThresholdDisplay(CurveDisplay):
    """Mean cost of a row against the threshold from which on it is taken for the class.

    The dashed line is the cost of the better of two constant answers: to take every row for the class, or
    none. ``from_predictions`` takes the options of :func:`softmaxlib.metrics.cost_threshold_curve` too:
    ``false_positive``, ``false_negative``, ``class_index``, ``sample_weight``.

    Parameters
    ----------
    curve : CostThresholdCurve
        From :func:`softmaxlib.metrics.cost_threshold_curve`.
    chosen : float, optional
        The threshold of a policy, marked on the plot.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import CostThresholdDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> costs = {"false_positive": 1, "false_negative": 8}
    >>> rows = [0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]
    >>> display = CostThresholdDisplay.from_predictions(*rows, probabilities=True, ax=ax, **costs)
    >>> float(display.curve.cost.min())
    0.25
    """

    curve: CostThresholdCurve
    _curve_of = staticmethod(cost_threshold_curve)

    def __init__(self, curve: CostThresholdCurve, *, chosen: float | None = None) -> None:
        super().__init__(curve)
        self.chosen = chosen

    def describe(self) -> str:
        """Say where the cost is least."""
        best = int(np.argmin(self.curve.cost))
        text = f"A row costs least, {self.curve.cost[best]:.4g} on average, from {self._from(best)} on."
        if self.chosen is None:
            return text
        return f"{text} The threshold of this policy is {self.chosen:.2%}."

    def spots(self) -> list[Spot]:
        """Return points along the curve with their values."""
        some = some_of(len(self.curve.cost))[::-1]  # the curve holds thresholds in falling order
        x = 100 * np.clip(self.curve.threshold[some], _LOWEST, 1.0)
        return columns(
            x, [f"from {self._from(one)} on: a row costs {self.curve.cost[one]:.4g}" for one in some]
        )

    def _from(self, place: int) -> str:
        return f"a probability of {min(self.curve.threshold[place], 1.0):.2%}"

    def _draw(self, ax: "Axes") -> None:
        # the cost changes just above each row's probability; above all of them no row is taken
        threshold = np.append(np.minimum(self.curve.threshold, 1.0), _LOWEST)
        cost = np.append(self.curve.cost, self.curve.cost[-1])
        ax.step(100 * np.maximum(threshold, _LOWEST), cost, where="post", color=RIGHT, linewidth=1.6)
        constant = min(cost[0], cost[-1])
        words = "every row taken" if cost[-1] < cost[0] else "no row taken"
        neutral = ax.xaxis.label.get_color()
        ax.axhline(constant, color=neutral, linewidth=0.8, linestyle=(0, (4, 4)), label=words)
        if self.chosen is not None:
            ax.axvline(100 * max(self.chosen, _LOWEST), color=OTHER, linewidth=1.4, label="this policy")
        ax.legend(loc="best")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda percent, _: f"{percent:g}")
        ax.set(xlim=(max(_LOWEST, threshold[1:].min()) * 100, 100))
        ax.set(xlabel="threshold on the probability, %", ylabel="mean cost of a row")
        ax.set_ylim(bottom=0 if cost.min() >= 0 else None)
