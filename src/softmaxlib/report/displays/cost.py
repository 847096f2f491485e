"""Cost against the share of rows decided."""

from typing import TYPE_CHECKING

import numpy as np

from ...decisions import CostCurve
from .base import RIGHT, Display, mark
from .spots import Spot, columns, some_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class CostDisplay(Display):
    """Mean cost of a row against the share decided, with the policy's choice.

    Parameters
    ----------
    curve : CostCurve
        Coverage and cost.
    chosen : pair of float, optional
        Coverage and mean cost of the policy, marked on the plot.

    Examples
    --------
    ``evaluate(logits, labels, policy=policy).decided`` holds the curve of a policy with a cost of setting
    aside, as ``cost_curve``:

    >>> import matplotlib.figure
    >>> import numpy as np
    >>> from softmaxlib.decisions import CostCurve
    >>> from softmaxlib.report import CostDisplay
    >>> curve = CostCurve(np.array([0.0, 0.8, 1.0]), np.array([0.2, 0.06, 0.09]))
    >>> display = CostDisplay(curve, chosen=(0.8, 0.06)).plot(matplotlib.figure.Figure().subplots())
    >>> display.ax_.get_ylabel()
    'mean cost of a row'
    """

    def __init__(self, curve: CostCurve, *, chosen: tuple[float, float] | None = None) -> None:
        self.curve = curve
        self.chosen = chosen

    def describe(self) -> str:
        """Say where the cost is least."""
        best = int(np.argmin(self.curve.cost))
        text = (
            f"A row costs least, {self.curve.cost[best]:.4g} on average, where "
            f"{self.curve.coverage[best]:.1%} are decided, and {self.curve.cost[-1]:.4g} where all are."
        )
        if self.chosen is None:
            return text
        return f"{text} This policy decides {self.chosen[0]:.1%} at {self.chosen[1]:.4g} a row."

    def spots(self) -> list[Spot]:
        """Return points along the curve with their values."""
        some = some_of(len(self.curve.cost))
        coverage, cost = self.curve.coverage[some], self.curve.cost[some]
        texts = [
            f"{share:.1%} decided: a row costs {mean:.4g}" for share, mean in zip(coverage, cost, strict=True)
        ]
        return columns(100 * coverage, texts)

    def _draw(self, ax: "Axes") -> None:
        ax.plot(100 * self.curve.coverage, self.curve.cost, color=RIGHT, linewidth=1.6)
        if self.chosen is not None:
            mark(ax, 100 * self.chosen[0], self.chosen[1], "this policy", below=True)
            ax.margins(y=0.2)
        ax.set(xlim=(0, 100), xlabel="share of rows decided, %", ylabel="mean cost of a row")
