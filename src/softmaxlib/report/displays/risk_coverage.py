"""Mistakes against the share of rows decided."""

from typing import TYPE_CHECKING

import numpy as np

from ..._text import printable
from ...metrics import RiskCoverageCurve, risk_coverage_curve
from .base import OTHER, RIGHT, CurveDisplay, mark
from .spots import Spot, columns, some_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RiskCoverageDisplay(CurveDisplay):
    """Share of mistakes among the decided rows, against the share decided, the surest rows first.

    ``from_predictions`` takes the option ``score`` of :func:`softmaxlib.metrics.risk_coverage_curve` too.

    Parameters
    ----------
    curve : RiskCoverageCurve
        From :func:`softmaxlib.metrics.risk_coverage_curve`.
    chosen : pair of float, optional
        Coverage and risk of a policy, marked on the plot.
    other : RiskCoverageCurve, optional
        Drawn beneath, such as that of another model.
    names : pair of str
        What the legend calls them, when there are two.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import RiskCoverageDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> logits, labels = [[2.0, 0.0], [0.0, 1.0], [0.5, 0.0]], [0, 1, 1]
    >>> display = RiskCoverageDisplay.from_predictions(logits, labels, ax=ax, score="entropy")
    >>> display.curve.risk.round(2)
    array([0.  , 0.  , 0.33])
    """

    _curve_of = staticmethod(risk_coverage_curve)

    def __init__(
        self,
        curve: RiskCoverageCurve,
        *,
        chosen: tuple[float, float] | None = None,
        other: RiskCoverageCurve | None = None,
        names: tuple[str, str] = ("this", "other"),
    ) -> None:
        super().__init__(curve)
        self.chosen = chosen
        self.other = other
        self.names = names

    def describe(self) -> str:
        """Say how many mistakes are made if all rows are decided, and if the surest half is."""
        curve = self.curve
        half = min(int(np.searchsorted(curve.coverage, 0.5)), len(curve.coverage) - 1)
        text = (
            f"Of all rows {curve.risk[-1]:.1%} are wrong, of the surest {curve.coverage[half]:.1%} "
            f"{curve.risk[half]:.1%}."
        )
        if self.chosen is None:
            return text
        return (
            f"{text} This policy decides {self.chosen[0]:.1%}, and {self.chosen[1]:.1%} of these are wrong."
        )

    def spots(self) -> list[Spot]:
        """Return points along the curve with their values."""
        some = some_of(len(self.curve.risk))
        coverage, risk = self.curve.coverage[some], self.curve.risk[some]
        texts = [f"{share:.1%} decided: {rate:.2%} wrong" for share, rate in zip(coverage, risk, strict=True)]
        return columns(100 * coverage, texts)

    def _draw(self, ax: "Axes") -> None:
        coverage, risk = 100 * self.curve.coverage, 100 * self.curve.risk
        ax.plot(coverage, risk, color=RIGHT, linewidth=1.6, label=printable(self.names[0]))
        ax.fill_between(coverage, risk, color=RIGHT, alpha=0.12, linewidth=0)
        if self.other is not None:
            other = 100 * self.other.coverage, 100 * self.other.risk
            ax.plot(*other, color=OTHER, linewidth=1.6, linestyle=(0, (5, 2)), label=printable(self.names[1]))
            ax.legend(loc="upper left")
        if self.chosen is not None:
            mark(ax, 100 * self.chosen[0], 100 * self.chosen[1], "this policy")
        ax.set(xlim=(0, 100), xlabel="share of rows decided, %", ylabel="mistakes among them, %")
        ax.set_ylim(bottom=0)
