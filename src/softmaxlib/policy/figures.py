"""Figures of probabilities on some rows: metrics, reliability and a histogram of losses."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from .._arrays import FloatArray, IntArray
from ..errors import FileFormatError
from ..metrics._bins import closed_below, column_sums, confidence_sums
from ..metrics.calibration_error import calibration_error_of
from ..metrics.predictions import Predictions
from ..metrics.shares import share_of_sums
from ..metrics.tally_result import TallyResult

Weights = npt.NDArray[np.float64]

_BINS = 10
_CELLS_OF_DOUBLING = 8
_LOSSES = (2.0**-16, 2.0**11)  # smaller and larger losses count as these
_LOWEST_CELL, _HIGHEST_CELL = (int(_CELLS_OF_DOUBLING * np.log2(loss)) for loss in _LOSSES)
_LOSS_EDGES = 2.0 ** ((np.arange(_LOWEST_CELL, _HIGHEST_CELL + 2) - 0.5) / _CELLS_OF_DOUBLING)
_MOST_ROWS = 10**9


@dataclass(frozen=True)
class Figures:
    """The quality of probabilities on some rows.

    Attributes
    ----------
    rows : int
        Number of rows, without those of weight 0.
    accuracy : float
        Share of rows whose most likely class is the true one. Larger is better, 0 to 1.
    log_loss : float
        Mean of -log of the probability of the true class, in nats. Smaller is better, 0 at best.
    log_loss_error : float
        Standard error of that mean.
    brier_score : float
        Mean squared distance from the one-hot truth. Smaller is better, 0 to 2.
    calibration_error : float
        15-bin expected calibration error of the chosen class. Smaller is better, 0 to 1.
    """

    rows: int
    accuracy: float
    log_loss: float
    log_loss_error: float
    brier_score: float
    calibration_error: float

    @classmethod
    def of(cls, predictions: Predictions) -> Self:
        """Return the figures of logits with their labels and weights."""
        losses, weights = predictions.figure("log_loss"), predictions.sample_weight
        return cls(
            rows=losses.size if weights is None else int(np.count_nonzero(weights)),
            accuracy=predictions.mean(predictions.figure("correct")),
            log_loss=predictions.mean(losses),
            log_loss_error=_error_of_mean(losses, weights),
            brier_score=predictions.mean(predictions.figure("brier_score")),
            calibration_error=calibration_error_of(predictions),
        )

    @classmethod
    def of_tally(cls, result: TallyResult) -> Self:
        """Return the figures of a tally of 15 bins."""
        return cls(**{field.name: getattr(result, field.name) for field in fields(cls)})

    @classmethod
    def from_dict(cls, value: Any, place: str) -> Self:
        """Read back what ``dataclasses.asdict`` wrote, every number checked."""
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        rows = _json.decode_integer(content["rows"], f"{place}.rows", lower=1)
        numbers = {
            name: _json.decode_number(content[name], f"{place}.{name}", lower=0)
            for name in content
            if name != "rows"
        }
        return cls(rows=rows, **numbers)


@dataclass(frozen=True)
class Reliability:
    """Confidence against truth in bins of equal mass, with which an audit compares new rows.

    Attributes
    ----------
    edges : array (bins - 1,)
        Confidences that part the bins.
    counts, confidences, hits : array (bins,)
        In each bin: rows, sum of their confidences, and how many chosen classes were true.
    """

    edges: FloatArray
    counts: FloatArray
    confidences: FloatArray
    hits: FloatArray

    @classmethod
    def of(cls, predictions: Predictions, edges: FloatArray | None = None) -> Self:
        """Bin rows by the confidence in the chosen class, at given edges or at its quantiles.

        Of weighted rows in a bin, as many are counted as there would be rows of equal weight that know the
        share of the true ones as well, in whole numbers.
        """
        confidence, hit = predictions.figure("confidence"), predictions.figure("correct")
        weights = predictions.sample_weight
        if edges is None:
            edges = edges_of(confidence)
        ends = cls.ends(edges)
        if weights is None:
            return cls(edges, *confidence_sums(predictions, ends))
        total, confidences, hits = column_sums(ends, confidence, weights, hit)
        squares, _, hit_squares = column_sums(ends, confidence, weights**2, hit)
        rows = column_sums(ends, confidence, np.sign(weights))[0]
        return cls(edges, *effective_counts(total, hits, squares, hit_squares, rows, confidences))

    @staticmethod
    def ends(edges: FloatArray) -> npt.NDArray[np.float64]:
        """Return the ends of the bins that the edges part: a confidence on an edge is in the bin above it."""
        return closed_below(np.concatenate([[0.0], edges, [1.0]]))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with every bit kept."""
        return {name: _json.encode_array(array) for name, array in vars(self).items()}

    @classmethod
    def from_dict(cls, value: Any, place: str) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        edges = _json.decode_array(content["edges"], f"{place}.edges")
        bins = (len(edges) + 1,)
        others = {
            name: _json.decode_array(content[name], f"{place}.{name}", shape=bins)
            for name in ("counts", "confidences", "hits")
        }
        counts = others["counts"]
        if (np.diff(edges) <= 0).any() or (np.abs(edges - 0.5) > 0.5).any():
            raise FileFormatError(f"{place}.edges must rise within 0 to 1; {_json.ADVICE}")
        if (counts < 0).any() or (counts > _MOST_ROWS).any() or (counts % 1 != 0).any():
            raise FileFormatError(
                f"{place}.counts must be whole numbers in 0 to {_MOST_ROWS}; {_json.ADVICE}"
            )
        for name in ("confidences", "hits"):
            if (others[name] < 0).any() or (others[name] > counts * (1 + 1e-6)).any():
                raise FileFormatError(
                    f"{place}.{name} must lie between 0 and the rows of each bin; {_json.ADVICE}"
                )
        return cls(edges, **others)


@dataclass(frozen=True)
class LossCounts:
    """A histogram of losses, rounded to eighths of a power of two, from which an audit resamples.

    Attributes
    ----------
    cells : array of int (cells,)
        The losses that occur, in rising order: 8 times their logarithm to base 2.
    counts : array of int (cells,)
        How many rows have each.
    """

    cells: IntArray
    counts: IntArray

    @classmethod
    def of(cls, predictions: Predictions) -> Self:
        """Return the losses -log p of logits with their labels, in nats."""
        return cls.from_dense(column_sums(_LOSS_EDGES, predictions.figure("log_loss"), None)[0])

    CELLS: ClassVar[int] = _HIGHEST_CELL - _LOWEST_CELL + 1

    def dense(self) -> npt.NDArray[np.float64]:
        """Return how many rows have each loss that there is a cell for."""
        counts = np.zeros(self.CELLS)
        counts[self.cells - _LOWEST_CELL] = self.counts
        return counts

    @classmethod
    def from_dense(cls, counts: FloatArray) -> Self:
        """Read back what `dense` gave, or a sum of these."""
        filled = np.flatnonzero(counts)
        return cls(filled + _LOWEST_CELL, counts[filled].astype(np.int64))

    @staticmethod
    def value_of(cells: IntArray) -> FloatArray:
        """Return the losses that the cells represent."""
        return 2.0 ** (cells / _CELLS_OF_DOUBLING)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, with every bit kept."""
        return {name: _json.encode_array(array) for name, array in vars(self).items()}

    @classmethod
    def from_dict(cls, value: Any, place: str) -> Self:
        """Read back what :meth:`to_dict` wrote."""
        content = _json.check_fields(value, place, [field.name for field in fields(cls)])
        cells = _json.decode_array(content["cells"], f"{place}.cells", kind="i")
        counts = _json.decode_array(content["counts"], f"{place}.counts", kind="i", shape=cells.shape)
        lowest, highest = _CELLS_OF_DOUBLING * np.log2(_LOSSES)
        if not cells.size or (np.diff(cells) <= 0).any() or cells[0] < lowest or cells[-1] > highest:
            raise FileFormatError(
                f"{place}.cells must rise from {lowest:.0f} at least to {highest:.0f} at most; {_json.ADVICE}"
            )
        if (counts < 1).any() or (counts > _MOST_ROWS).any():
            raise FileFormatError(f"{place}.counts must lie in 1 to {_MOST_ROWS}; {_json.ADVICE}")
        return cls(cells, counts)


def _error_of_mean(losses: FloatArray, weights: Weights | None) -> float:
    """Return the standard error of the mean of losses, weighted or not."""
    if weights is None:
        return float(losses.std(dtype=np.float64) / np.sqrt(len(losses)))
    counts = weights > 0
    losses, weights = losses[counts].astype(np.float64), weights[counts]
    shares = weights / weights.sum()
    return float(np.sqrt(shares**2 @ (losses - shares @ losses) ** 2))


def edges_of(confidence: FloatArray) -> npt.NDArray[np.float64]:
    """Return the confidences that part rows into bins of equal mass."""
    return np.unique(np.quantile(confidence, np.arange(1, _BINS) / _BINS)).astype(np.float64)


def effective_counts(
    total: FloatArray,
    hits: FloatArray,
    squares: FloatArray,
    hit_squares: FloatArray,
    rows: FloatArray,
    confidences: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rows, sum of confidences and hits of each bin, each in terms of rows of equal weight.

    From sums over the rows of each bin: of their weights, of those of the hits, the same of their squares, of
    the rows that have a weight, and of weight times confidence.
    """
    share = share_of_sums(total, hits, squares, hit_squares, rows)
    counted = np.maximum(np.floor(share.rows + 1e-9), total > 0)
    mean = np.divide(confidences, total, out=np.zeros(total.size), where=total > 0)
    return counted, mean * counted, np.rint(share.value * counted)
