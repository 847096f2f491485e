"""Calibrations that look at one class at a time: its log-odds against all others, in; its frequency, out."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _graph
from .._graph import Tensor
from ..activations import log_softmax
from ..errors import FileFormatError

Floats = npt.NDArray[np.float64]

BOUND = 700.0  # exp of the log-odds stays a normal number

# Bins of files of older versions begin at the log-odds of a row of the fit, which another arithmetic may find
# some units lower
EDGE_MARGIN = 1e-12


def log_odds(logits: npt.NDArray[Any]) -> Floats:
    """Compute log(p / (1 - p)) of each class, in [-700, 700], without the rounding of p to 1."""
    logarithm = log_softmax(logits.astype(np.float64, copy=False))
    probability = np.exp(logarithm)
    rows, top = np.arange(len(logits)), logits.argmax(axis=1)
    probability[rows, top] = 0
    others = probability.sum(axis=1)
    with np.errstate(divide="ignore"):
        rest = np.log1p(-probability)
        rest[rows, top] = np.log(others)
        return np.clip(logarithm - rest, -BOUND, BOUND)


class ExportedOdds(NamedTuple):
    """The log-odds of each class in a graph, and which class is the most likely."""

    odds: Tensor  # (rows, classes)
    column: Tensor  # (rows, 1), of the most likely class
    is_top: Tensor  # (rows, classes)


def export_log_odds(logits: Tensor, classes: int) -> ExportedOdds:
    """Add the steps of `log_odds` to a graph."""
    logarithm, column = _graph.log_softmax(logits), logits.row_argmax()
    is_top = logits.graph.columns(classes).equals(column)
    rest = is_top.where(0.0, logarithm.exp())
    others = rest.row_sum().maximum(float(np.exp(-BOUND)))
    odds = logarithm - is_top.where(others, 1.0 - rest).log()
    return ExportedOdds(odds.maximum(-BOUND).minimum(BOUND), column, is_top)


def export_to_logits(frequencies: Tensor) -> Tensor:
    """Add the steps of `to_logits` to a graph."""
    return (frequencies / frequencies.row_sum()).log()


def to_logits(frequencies: Floats) -> Floats:
    """Return log-probabilities from one positive frequency per class, renormalised to sum 1."""
    return np.log(frequencies / frequencies.sum(axis=1, keepdims=True))


def below_one(frequencies: Floats) -> Floats:
    """Bound frequencies by the largest number below 1; with more than 2**26 equal rows they round to 1."""
    return np.minimum(frequencies, 1 - 2.0**-53)


def base_rates(labels: npt.NDArray[np.int64], weights: Floats, classes: int) -> Floats:
    """Return the frequency of each class after one pseudo-row each, so that none is 0."""
    count = np.bincount(labels, weights, minlength=classes) + 1
    return count / count.sum()


class Curves(NamedTuple):
    """One curve a class, laid end to end: class k has knots[starts[k]:starts[k + 1]], and values likewise."""

    starts: npt.NDArray[np.int64]
    knots: Floats
    values: Floats

    @classmethod
    def join(cls, curves: list[tuple[Floats, Floats]]) -> "Curves":
        """Create curves from one pair (knots, values) per class."""
        lengths = [len(knots) for knots, _ in curves]
        knots, values = (np.concatenate(parts) for parts in zip(*curves, strict=True))
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), knots, values)

    def of_class(self, index: int) -> tuple[Floats, Floats]:
        """Return knots and values of one class."""
        part = slice(self.starts[index], self.starts[index + 1])
        return self.knots[part], self.values[part]

    def to_graph(self, graph: _graph.Graph, margin: float = 0.0) -> "ExportedCurves":
        """Return the curves as tables of a graph, knots lower by `margin`."""
        lengths = np.diff(self.starts)
        width = 1 << int(lengths.max() - 1).bit_length()
        is_knot = np.arange(width) < lengths[:, None]
        knots, values = np.full(is_knot.shape, np.inf), np.zeros(is_knot.shape)
        slopes = np.zeros(is_knot.shape)
        knots[is_knot], values[is_knot] = self.knots - margin, self.values
        left, right = is_knot.copy(), is_knot.copy()
        left[:, :-1], right[:, 0] = is_knot[:, 1:], False
        left[:, -1] = False
        slopes[left] = (values[right] - values[left]) / (knots[right] - knots[left])
        return ExportedCurves(
            width,
            graph.fitted("knots", knots.ravel()),
            graph.fitted("values", values.ravel()),
            graph.fitted("slopes", slopes.ravel()),
        )

    def check(self, name: str, count: int, least: float = 5e-324) -> None:
        """Raise FileFormatError unless all classes have curves: increasing knots, values in [least, 1)."""
        starts, knots, values = self
        if len(starts) != count + 1 or len(knots) != len(values):
            raise FileFormatError(
                f"{name} must have {count + 1} starts_ and as many values_ as knots_, got {len(starts)}, "
                f"{len(values)} and {len(knots)}; fit and save again"
            )
        if starts[0] != 0 or starts[-1] != len(knots) or (np.diff(starts) <= 0).any():
            raise FileFormatError(
                f"{name}.starts_ must rise from 0 to the number of knots_, {len(knots)}; fit and save again"
            )
        inner = np.ones(len(knots), bool)
        inner[starts[:-1]] = False
        if not (np.diff(knots, prepend=0)[inner] > 0).all():
            raise FileFormatError(f"{name}.knots_ must increase within a class; fit and save again")
        if not ((values >= least) & (values < 1)).all():
            raise FileFormatError(f"{name}.values_ must lie between 0 and 1; fit and save again")


class ExportedCurves(NamedTuple):
    """Curves as tables of a graph: `width` numbers a class, a power of two, infinite knots at the end."""

    width: int
    knots: Tensor
    values: Tensor
    slopes: Tensor  # of the line that begins at each knot

    def find(self, odds: Tensor, column: Tensor) -> Tensor:
        """Return the place in the tables of the last knot at or below each number, or the first knot.

        By bisection: what runs a graph need not know a sorted search.
        """
        place, step = column * self.width, self.width // 2
        while step:
            place = (self.knots.take(place + step) <= odds).where(place + step, place)
            step //= 2
        return place

    def interpolate(self, odds: Tensor, column: Tensor) -> Tensor:
        """Return the values on the straight lines between knots."""
        place = self.find(odds, column)
        beyond = (odds - self.knots.take(place)).maximum(0.0)
        return self.slopes.take(place) * beyond + self.values.take(place)
