"""Decisions and their accuracy at other thresholds: the stops of the report's sliders.

Each is exact for the rows given: they are counted at every threshold, and nothing is interpolated.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..decisions import IfDecided
from ..metrics._bins import sum_within
from ..metrics.predictions import Floats, Predictions
from ..metrics.shares import clopper_pearson, share_of_sums

_LEVEL = 0.95
_Z = 1.959963984540054  # quantile of the normal distribution at that level
_PERCENTS = np.arange(1, 100) / 100
_NINES = np.concatenate([np.arange(991, 1000) / 1000, np.arange(9991, 10000) / 10000])
_COST_POINTS = 60
_MOST_SPREAD = 100_000  # rows
_COST_DIGITS = 3
_LEAST_ROWS = 30  # with fewer rows, the spread of a mean is too uncertain


class Shares(NamedTuple):
    """A share at each of some thresholds, with its 95% interval (Clopper-Pearson); NaN where no row counts.

    Attributes
    ----------
    value, lower, upper : array of float (points,)
        The share, and the ends of the interval.
    """

    value: Floats
    lower: Floats
    upper: Floats


class Means(NamedTuple):
    """A mean at each of some thresholds, with its 95% interval by the normal law; NaN of fewer than 30 rows.

    Attributes
    ----------
    value, lower, upper : array of float (points,)
        The mean, and the ends of the interval.
    """

    value: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class AtConfidence:
    """Share of rows decided, and their accuracy, if rows below a confidence are handed over.

    Attributes
    ----------
    threshold : array of float (points,)
        Rows of at least this confidence are decided; rising from 0.
    coverage : array of float (points,)
        Share of the rows decided.
    accuracy : Shares
        Share of right ones among them.
    """

    threshold: Floats
    coverage: Floats
    accuracy: Shares


@dataclass(frozen=True)
class AtThreshold:
    """Recall, precision and false positive rate of the second of two classes, at several thresholds.

    Attributes
    ----------
    threshold : array of float (points,)
        Rows of at least this probability are taken for it; rising from 0.
    taken : array of float (points,)
        Share of the rows taken for it.
    recall, precision : Shares
        Share of its rows that are found, and of the rows taken for it that are of it.
    false_positive_rate : Shares
        Share of the other rows that are taken for it.
    """

    threshold: Floats
    taken: Floats
    recall: Shares
    precision: Shares
    false_positive_rate: Shares


@dataclass(frozen=True)
class AtCost:
    """Share of rows decided, accuracy and mean cost, if rows of a higher expected cost are handed over.

    Attributes
    ----------
    threshold : array of float (points,)
        Rows that are expected to cost at most this are decided; rising.
    coverage : array of float (points,)
        Share of the rows decided.
    accuracy : Shares or None
        Share of right ones among them; None where actions are no classes.
    cost : Means
        Mean cost over all rows, those handed over included.
    abstain_cost : float
        The rule's cost of handing a row over; one of the thresholds.
    """

    threshold: Floats
    coverage: Floats
    accuracy: Shares | None
    cost: Means
    abstain_cost: float


class _Counted:
    """Sums over the rows above, or below, each of some thresholds."""

    def __init__(self, cell: npt.NDArray[np.int64], cells: int, weights: Floats | None, above: bool) -> None:
        self._cell, self._cells, self._above = cell, cells, above
        self._weights = weights

    def sum(self, values: Floats | None = None) -> Floats:
        """Sum one value per row, 1 by default, over the rows beyond each threshold."""
        sums = np.bincount(self._cell, values, self._cells).astype(np.float64)
        return np.cumsum(sums[::-1])[::-1][1:] if self._above else np.cumsum(sums)[:-1]

    def weight(self, some: npt.NDArray[np.bool_]) -> Floats:
        """Sum the weights of some rows."""
        return self.sum(some.astype(np.float64) if self._weights is None else some * self._weights)

    def share(self, hit: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> Shares:
        """Return the share of hits among some rows beyond each threshold."""
        if self._weights is None:  # a weight of 1 is its own square
            rows, hits = self.weight(among), self.weight(hit & among)
            return shares(rows, hits, rows, hits, rows)
        weights: Any = self._weights
        total, hits = self.weight(among), self.weight(hit & among)
        squares, hit_squares = (
            self.sum(np.square(weights) * among),
            self.sum(np.square(weights) * (hit & among)),
        )
        return shares(total, hits, squares, hit_squares, self.sum((among & (weights > 0)) * 1.0))


def shares(total: Floats, hits: Floats, squares: Floats, hit_squares: Floats, rows: Floats) -> Shares:
    """Return shares with their intervals, from sums of weights and of their squares."""
    share = share_of_sums(total, hits, squares, hit_squares, rows)
    low, high = clopper_pearson(share, _LEVEL)
    some = total > 0
    return Shares(*(np.where(some, one, np.nan) for one in (share.value, low, high)))


def mean_of_rows(values: Floats, weights: Floats | None) -> tuple[float, float, float]:
    """Return the mean of one value per row, with its normal interval."""
    weight = np.ones(values.size) if weights is None else weights
    squares = weight**2
    mean = _means(
        np.array([weight.sum()]),
        np.array([weight @ values]),
        np.array([squares @ values**2]),
        np.array([squares @ values]),
        np.array([squares.sum()]),
        int(np.count_nonzero(weight)),
    )
    return float(mean.value[0]), float(mean.lower[0]), float(mean.upper[0])


def at_confidence(predictions: Predictions, own: float | None) -> AtConfidence:
    """Count the rows of at least each confidence, and the right ones among them.

    Parameters
    ----------
    predictions : Predictions
        The rows.
    own : float or None
        The threshold of a policy, one of the stops too.
    """
    least = 1 / predictions.values.shape[1]
    stops = np.concatenate([[0.0], _PERCENTS[least < _PERCENTS], _NINES, [] if own is None else [own]])
    stops = np.unique(stops)
    confidence, right = predictions.figure("confidence"), predictions.figure("correct")
    weights = predictions.sample_weight
    if weights is None:
        rows, hits = _rows_and_hits_above(stops, confidence, right)
        coverage, accuracy = rows / right.size, shares(rows, hits, rows, hits, rows)
    else:
        counted, every = _counted_above(stops, confidence, weights), np.ones(right.size, np.bool_)
        coverage, accuracy = counted.weight(every) / weights.sum(), counted.share(right, every)
    some = coverage > 0
    return AtConfidence(stops[some], coverage[some], Shares(*(part[some] for part in accuracy)))


def at_threshold(predictions: Predictions, own: float | None) -> AtThreshold | None:
    """Count the rows of at least each probability of the second class; None unless there are two classes.

    Parameters
    ----------
    predictions : Predictions
        The rows.
    own : float or None
        The threshold of a policy, one of the stops too.
    """
    if predictions.values.shape[1] != 2:
        return None
    truth = predictions.labels == 1
    weights = predictions.sample_weight
    if not 0 < predictions.mean(truth) < 1:
        return None
    stops = probability_stops(own)
    counted = _counted_above(stops, predictions.column(1), weights)
    every = np.ones(truth.size, np.bool_)
    return AtThreshold(
        threshold=stops,
        taken=counted.weight(every) / predictions.weights.sum(),
        recall=_found(counted, truth, predictions.weights),
        precision=counted.share(truth, every),
        false_positive_rate=_found(counted, ~truth, predictions.weights),
    )


def probability_stops(own: float | None) -> Floats:
    """Return the thresholds on the probability of the second of two classes, with the policy's own."""
    small = (1 - _NINES)[::-1].round(4)
    return np.unique(np.concatenate([[0.0], small, _PERCENTS, _NINES, [] if own is None else [own]]))


def at_cost(every: IfDecided, labels: npt.NDArray[np.int64] | None, weights: Floats | None) -> AtCost:
    """Count the rows of at most each expected cost, and sum their costs.

    Parameters
    ----------
    every : IfDecided
        What each row would cost; the cost of setting aside is one of the stops.
    labels : array of int (rows,), or None
        The true classes, where actions are classes.
    weights : array (rows,), or None
        How often each row counts.
    """
    abstain_cost = every.abstain_cost
    stops = _cost_stops(every.expected, abstain_cost)
    cell = np.searchsorted(stops + every.tie, every.expected, side="left")  # up to the threshold, included
    counted = _Counted(cell, stops.size + 1, weights, above=False)
    rows = every.expected.size
    all_rows = np.ones(rows, np.bool_)
    decided, paid = counted.sum(weights), counted.sum(every.paid if weights is None else weights * every.paid)
    total = rows if weights is None else weights.sum()
    if weights is None:
        squares, of_squares, paid_squares, mixed = rows, decided, counted.sum(every.paid**2), paid
    else:
        square = weights**2
        squares, of_squares = square.sum(), counted.sum(square)
        paid_squares, mixed = counted.sum(square * every.paid**2), counted.sum(square * every.paid)
    over, over_squares = total - decided, squares - of_squares
    cost = _means(
        np.full(stops.size, float(total)),
        paid + abstain_cost * over,
        paid_squares + abstain_cost**2 * over_squares,
        mixed + abstain_cost * over_squares,
        np.full(stops.size, float(squares)),
        rows if weights is None else int(np.count_nonzero(weights)),
    )
    accuracy = None if labels is None else counted.share(every.action == labels, all_rows)
    return AtCost(stops, decided / total, accuracy, cost, abstain_cost)


def _rows_and_hits_above(stops: Floats, values: Floats, hit: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Count the rows whose value, from 0 to 1, is at least each stop, and the hits among them."""
    # a bin contains its upper edge, but a row at a stop counts as above it; the first stop is 0
    edges = np.concatenate([[0.0], np.nextafter(stops[1:], 0.0), [1.0]])
    sums = sum_within(edges, stops.size, values, hit, None)
    rows, hits = (np.cumsum(part[::-1])[::-1] for part in (sums.weight, sums.outcome))
    return rows, hits


def _counted_above(stops: Floats, values: Floats, weights: Floats | None) -> _Counted:
    return _Counted(np.searchsorted(stops, values, side="right"), stops.size + 1, weights, above=True)


def _found(counted: _Counted, of_class: npt.NDArray[np.bool_], weights: Floats) -> Shares:
    """Return the share of the rows of a class that lie beyond each threshold."""
    of_rows = weights[of_class]
    hits = counted.weight(of_class)
    total = np.full(hits.size, of_rows.sum())
    squares = np.full(hits.size, of_rows @ of_rows)
    hit_squares = counted.sum(of_class * weights**2)
    return shares(total, hits, squares, hit_squares, np.full(hits.size, float(np.count_nonzero(of_rows))))


def _cost_stops(expected: Floats, abstain_cost: float) -> Floats:
    """Return round costs, spread evenly over the rows, with the rule's own among them."""
    some = expected[:: max(1, expected.size // _MOST_SPREAD)]  # the places of the stops need not be exact
    spread = np.quantile(some, np.linspace(0, 1, _COST_POINTS))
    rounded = [float(f"{value:.{_COST_DIGITS}g}") for value in spread.tolist()]
    return np.unique([*rounded, abstain_cost])


def _means(
    total: Floats, sums: Floats, squares: Floats, mixed: Floats, weight_squares: Floats, rows: int
) -> Means:
    """Return weighted means and their intervals from the sums of w, w x, w^2 x^2, w^2 x and w^2."""
    mean = sums / total
    variance = np.maximum(squares - 2 * mean * mixed + mean**2 * weight_squares, 0.0) / total**2
    half = np.where(rows >= _LEAST_ROWS, _Z * np.sqrt(variance), np.nan)
    return Means(mean, mean - half, mean + half)
