"""Mistakes against the share of rows decided."""

from typing import TYPE_CHECKING

from ...metrics import RiskCoverageCurve, risk_coverage_curve
from .base import RIGHT, CurveDisplay, mark

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

    def __init__(self, curve: RiskCoverageCurve, *, chosen: tuple[float, float] | None = None) -> None:
        super().__init__(curve)
        self.chosen = chosen

    def _draw(self, ax: "Axes") -> None:
        coverage, risk = 100 * self.curve.coverage, 100 * self.curve.risk
        ax.plot(coverage, risk, color=RIGHT, linewidth=1.6)
        ax.fill_between(coverage, risk, color=RIGHT, alpha=0.12, linewidth=0)
        if self.chosen is not None:
            mark(ax, 100 * self.chosen[0], 100 * self.chosen[1], "this policy")
        ax.set(xlim=(0, 100), xlabel="share of rows decided, %", ylabel="mistakes among them, %")
        ax.set_ylim(bottom=0)
