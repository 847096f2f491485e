"""The display of how often each confidence is stated, rightly and wrongly."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ...metrics.predictions import Predictions
from ..counts import Counts
from ..judgement import confidence_histograms
from .base import RIGHT, WRONG, LabelledRows, PredictionDisplay
from .spots import Spot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ConfidenceDisplay(PredictionDisplay):
    """Histogram of confidence, right rows apart from wrong ones.

    Parameters
    ----------
    right, wrong : array of int (bins,)
        Rows in equal bins of the confidence from 0 to 1, or their weight.

    Examples
    --------
    >>> import matplotlib.figure
    >>> from softmaxlib.report import ConfidenceDisplay
    >>> ax = matplotlib.figure.Figure().subplots()
    >>> display = ConfidenceDisplay.from_predictions([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1], ax=ax)
    >>> int(display.right.sum()), int(display.wrong.sum())
    (2, 1)
    """

    def __init__(self, right: Counts, wrong: Counts) -> None:
        self.right = right
        self.wrong = wrong

    @classmethod
    def _of(cls, rows: LabelledRows, probabilities: bool, options: dict[str, Any]) -> Self:
        return cls(*confidence_histograms(Predictions(*rows, probabilities)), **options)

    def describe(self) -> str:
        """Say which confidence is stated most often."""
        rows = self.right + self.wrong
        most = int(np.argmax(rows))
        return (
            f"Most often, in {rows[most] / rows.sum():.1%} of the rows, a confidence of {self._bin(most)} is "
            f"stated; {self.wrong.sum() / rows.sum():.1%} of all rows are wrong."
        )

    def spots(self) -> list[Spot]:
        """Return each bar with its value."""
        rows = self.right.sum() + self.wrong.sum()
        return [
            Spot(
                f"confidence {self._bin(place)}: {(right + wrong) / rows:.1%} of the rows, "
                f"{right / rows:.1%} right and {wrong / rows:.1%} wrong",
                place / len(self.right),
                -np.inf,
                (place + 1) / len(self.right),
                np.inf,
            )
            for place, (right, wrong) in enumerate(zip(self.right.tolist(), self.wrong.tolist(), strict=True))
            if right + wrong
        ]

    def _bin(self, place: int) -> str:
        bins = len(self.right)
        return f"{100 * place / bins:g}% to {100 * (place + 1) / bins:g}%"

    def _draw(self, ax: "Axes") -> None:
        edges = np.linspace(0, 1, len(self.right) + 1)
        width = np.diff(edges) * 0.86
        centers = (edges[:-1] + edges[1:]) / 2
        rows = self.right.sum() + self.wrong.sum()
        ax.bar(centers, 100 * self.right / rows, width, color=RIGHT, label="right")
        ax.bar(centers, 100 * self.wrong / rows, width, 100 * self.right / rows, color=WRONG, label="wrong")
        ax.legend(loc="upper left")
        ax.set(xlim=(0, 1), xlabel="stated confidence", ylabel="share of rows, %")
