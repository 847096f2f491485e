"""The figures of a record as sums over rows, for rows that are looked at in passes."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._all_rows import Floats
from .._arrays import FloatArray, IntArray
from ..metrics._bins import closed_below, column_sums, top_label_sums
from ..metrics.predictions import Predictions
from ..metrics.shares import ShareSums
from .figures import Figures, LossCounts, Reliability, effective_counts

_BINS = 15
_FIGURES = 8
FIGURE_SUMS = _FIGURES + 3 * _BINS


class FigureSums(NamedTuple):
    """The sums over rows from which `Figures` are computed."""

    figures: (
        Floats  # rows; weight; correct; loss; squared weight, times loss, times squared loss; Brier score
    )
    bins: Floats  # (3, 15): weight, confidence and correct

    @classmethod
    def of(cls, predictions: Predictions) -> "FigureSums":
        """Return the sums over the rows with a weight."""
        weights, loss = predictions.weights, predictions.figure("log_loss")
        correct = predictions.figure("correct")
        bins = np.stack(top_label_sums(predictions, np.linspace(0.0, 1.0, _BINS + 1), _BINS))
        if predictions.sample_weight is None:
            rows, hits, total = loss.size, np.count_nonzero(correct), loss.sum()
            with np.errstate(over="ignore", invalid="ignore"):
                squares = np.square(loss).sum()
            brier = predictions.figure("brier_score").sum()
            return cls(np.array([rows, rows, hits, total, rows, total, squares, brier], np.float64), bins)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = weights**2
            figures = (
                weights > 0,
                weights,
                weights * correct,
                weights * loss,
                squares,
                squares * loss,
                squares * loss**2,
                weights * predictions.figure("brier_score"),
            )
            sums = np.array([one.sum(dtype=np.float64) for one in figures])
        return cls(sums, bins)

    @property
    def flat(self) -> Floats:
        """All sums in one array."""
        return np.concatenate([self.figures, self.bins.ravel()])

    @classmethod
    def from_flat(cls, flat: Floats) -> "FigureSums":
        """Read back what `flat` gave."""
        return cls(flat[:_FIGURES], flat[_FIGURES:].reshape(3, _BINS))

    def figures_of_rows(self) -> Figures:
        """Return the figures, as `Figures.of` gives them of all rows at once but for the rounding of sums."""
        rows, weight, correct, loss, squares, of_loss, of_squared_loss, brier = self.figures.tolist()
        mean = loss / weight
        with np.errstate(invalid="ignore"):
            variance = of_squared_loss - 2 * mean * of_loss + mean**2 * squares
        _, confidence, hits = self.bins
        return Figures(
            rows=int(rows),
            accuracy=correct / weight,
            log_loss=mean,
            log_loss_error=float(np.sqrt(max(variance, 0.0)) / weight) if np.isfinite(variance) else np.inf,
            brier_score=brier / weight,
            calibration_error=float(np.abs(confidence - hits).sum() / weight),
        )


class ReliabilitySums(NamedTuple):
    """The six sums per bin of confidence from which `Reliability` is computed."""

    sums: Floats  # (6, bins): rows; weight, its square; the same of the hits; confidence

    @classmethod
    def of(cls, predictions: Predictions, edges: FloatArray) -> "ReliabilitySums":
        """Return the sums in the bins that the edges part."""
        confidence, hit = predictions.figure("confidence"), predictions.figure("correct")
        size = len(edges) + 1
        if predictions.sample_weight is None:
            ends = closed_below(np.concatenate([[0.0], edges, [1.0]]))
            rows, confidences, hits = column_sums(ends, confidence, None, hit)
            return cls(np.stack([rows, rows, rows, hits, hits, confidences]))
        bins, values = cls.terms(predictions, edges)
        return cls(np.stack([np.bincount(bins, one, size) for one in values]).astype(np.float64))

    @staticmethod
    def terms(predictions: Predictions, edges: FloatArray) -> tuple[IntArray, tuple[Floats, ...]]:
        """Return the bin of each row, and what it adds to the six sums."""
        confidence, hit = predictions.figure("confidence"), predictions.figure("correct")
        weights, squares = predictions.weights, predictions.weights**2
        terms = (weights > 0, weights, squares, weights * hit, squares * hit, weights * confidence)
        return np.searchsorted(edges, confidence, side="right"), tuple(
            one.astype(np.float64, copy=False) for one in terms
        )

    def reliability(self, edges: FloatArray, is_weighted: bool) -> Reliability:
        """Return confidence against truth in these bins."""
        rows, total, squares, hits, hit_squares, confidences = self.sums
        if is_weighted:
            return Reliability(edges, *effective_counts(total, hits, squares, hit_squares, rows, confidences))
        return Reliability(edges, rows, confidences, hits)


class RecordSums(NamedTuple):
    """Sums over rows that a policy calibrated and decided, for its record and its audits."""

    figures: FigureSums
    reliability: ReliabilitySums
    losses: Floats  # how often each loss occurs
    aside: ShareSums

    @classmethod
    def of(cls, calibrated: Predictions, abstained: npt.NDArray[np.bool_], edges: FloatArray) -> "RecordSums":
        """Compute the sums of some rows, in the bins of confidence between the edges."""
        return cls(
            FigureSums.of(calibrated),
            ReliabilitySums.of(calibrated, edges),
            LossCounts.of(calibrated).dense(),
            ShareSums.of(abstained, calibrated.sample_weight),
        )

    @property
    def flat(self) -> Floats:
        """All sums in one array."""
        every = self.figures.flat, self.reliability.sums.ravel(), self.losses, np.array(self.aside)
        return np.concatenate(every)

    @staticmethod
    def size(bins: int) -> int:
        """Return the number of sums for a number of bins."""
        return FIGURE_SUMS + 6 * bins + LossCounts.CELLS + len(ShareSums._fields)

    @classmethod
    def from_flat(cls, flat: Floats, bins: int) -> "RecordSums":
        """Restore the sums from the result of `flat`, for a number of bins."""
        sizes = FIGURE_SUMS, 6 * bins, LossCounts.CELLS
        figures, reliability, losses, aside = np.split(flat, np.cumsum(sizes))
        return cls(
            FigureSums.from_flat(figures),
            ReliabilitySums(reliability.reshape(6, bins)),
            losses,
            ShareSums(*aside.tolist()),
        )
