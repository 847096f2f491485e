"""Decisions and their accuracy at other thresholds: the stops of the report's sliders.

Each is exact for the rows given: they are counted at every threshold, and nothing is interpolated.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..decisions import IfDecided
from ..metrics._bins import closed_below, column_sums, confidence_counts
from ..metrics.normal_mean import normal_half
from ..metrics.predictions import Floats, Predictions
from ..metrics.shares import clopper_pearson, share_of_sums

_LEVEL = 0.95
_PERCENTS = np.arange(1, 100) / 100
_NINES = np.concatenate([np.arange(991, 1000) / 1000, np.arange(9991, 10000) / 10000])
_COST_POINTS = 60
_MOST_SPREAD = 100_000  # rows
_COST_DIGITS = 3


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


class _Sums(NamedTuple):
    """Sums over the rows beyond each of some thresholds.

    Attributes
    ----------
    total, hits : array (points,)
        Of the weights of the rows, and of those of the hits.
    squares, hit_squares : array (points,)
        Of their squares.
    rows : array (points,)
        Rows whose weight is not 0.
    """

    total: Floats
    hits: Floats
    squares: Floats
    hit_squares: Floats
    rows: Floats

    @classmethod
    def above(cls, stops: Floats, values: Floats, hit: npt.NDArray[np.bool_], weights: Floats | None) -> Self:
        """Sum the rows whose value, from 0 to 1, is at least each stop; the first stop is 0."""
        edges = edges_at(stops)
        if weights is None:
            rows, _, hits = column_sums(edges, values, None, hit)
            return cls.of_counts(rows, hits)
        total, _, hits = _from_above(column_sums(edges, values, weights, hit))
        squares, _, hit_squares = _from_above(column_sums(edges, values, weights**2, hit))
        return cls(
            total, hits, squares, hit_squares, _from_above(column_sums(edges, values, np.sign(weights)))[0]
        )

    @classmethod
    def of_counts(cls, rows: Floats, hits: Floats) -> Self:
        """Sum rows without weights, from how many are in each bin that begins at a stop."""
        rows, hits = _from_above(np.stack([rows, hits]))
        return cls(rows, hits, rows, hits, rows)  # a weight of 1 is its own square


def shares(total: Floats, hits: Floats, squares: Floats, hit_squares: Floats, rows: Floats) -> Shares:
    """Return shares with their intervals, from sums of weights and of their squares."""
    share = share_of_sums(total, hits, squares, hit_squares, rows)
    low, high = clopper_pearson(share, _LEVEL)
    some = total > 0
    return Shares(*(np.where(some, one, np.nan) for one in (share.value, low, high)))


def mean_of_rows(values: Floats, weights: Floats | None) -> tuple[float, float, float]:
    """Return the mean of one value per row, with its normal interval."""
    if weights is None:
        rows, total = values.size, values.sum()
        sums = np.array([rows, total, np.square(values).sum(), total, rows])
    else:
        rows, squares = int(np.count_nonzero(weights)), weights**2
        sums = np.array(
            [weights.sum(), weights @ values, squares @ values**2, squares @ values, squares.sum()]
        )
    mean = _means(*np.split(sums, 5), rows=rows)
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
    stops = confidence_stops(predictions.values.shape[1], own)
    weights = predictions.sample_weight
    if weights is None:
        sums = _Sums.of_counts(*confidence_counts(predictions, edges_at(stops)))
    else:
        sums = _Sums.above(stops, predictions.figure("confidence"), predictions.figure("correct"), weights)
    coverage, accuracy = sums.total / _total(predictions), shares(*sums)
    some = coverage > 0
    return AtConfidence(stops[some], coverage[some], Shares(*(part[some] for part in accuracy)))


def edges_at(stops: Floats) -> Floats:
    """Return edges between which the rows at each stop, the first of which is 0, are those above an edge."""
    return closed_below(np.append(stops, 1.0))


def confidence_stops(classes: int, own: float | None) -> Floats:
    """Return the thresholds on the confidence, with the policy's own."""
    least = 1 / classes
    return np.unique(
        np.concatenate([[0.0], _PERCENTS[least < _PERCENTS], _NINES, [] if own is None else [own]])
    )


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
    probability = predictions.column(1)
    found, mistaken = (_Sums.above(stops, probability, of_class, weights) for of_class in (truth, ~truth))
    return AtThreshold(
        threshold=stops,
        taken=found.total / _total(predictions),
        recall=_found(found, truth, weights),
        precision=shares(*found),
        false_positive_rate=_found(mistaken, ~truth, weights),
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
    edges = stops + every.tie  # up to and with the threshold
    edges = np.concatenate([edges[:1], edges, edges[-1:]])
    right = () if labels is None else (every.action == labels,)
    if weights is None:
        decided, _, paid, paid_squares, *hits = _from_below(
            column_sums(edges, every.expected, None, every.paid, every.paid**2, *right)
        )
        total = squares = float(every.paid.size)
        rows, of_squares, mixed, hit_squares, counted = every.paid.size, decided, paid, hits, decided
    else:
        square = weights**2
        decided, _, paid, *hits = _from_below(column_sums(edges, every.expected, weights, every.paid, *right))
        of_squares, _, mixed, paid_squares, *hit_squares = _from_below(
            column_sums(edges, every.expected, square, every.paid, every.paid**2, *right)
        )
        counted = _from_below(column_sums(edges, every.expected, np.sign(weights)))[0]
        total, squares, rows = float(weights.sum()), float(square.sum()), int(np.count_nonzero(weights))
    over, over_squares = total - decided, squares - of_squares
    cost = _means(
        np.full(stops.size, total),
        paid + abstain_cost * over,
        paid_squares + abstain_cost**2 * over_squares,
        mixed + abstain_cost * over_squares,
        np.full(stops.size, squares),
        rows,
    )
    accuracy = None if labels is None else shares(decided, hits[0], of_squares, hit_squares[0], counted)
    return AtCost(stops, decided / total, accuracy, cost, abstain_cost)


def _total(predictions: Predictions) -> float:
    weights = predictions.sample_weight
    return float(predictions.labels.size if weights is None else weights.sum())


def _from_above(of_bins: Floats) -> Floats:
    return np.cumsum(of_bins[:, ::-1], axis=1)[:, ::-1]


def _from_below(of_bins: Floats) -> Floats:
    return np.cumsum(of_bins, axis=1)[:, :-1]


def _found(sums: _Sums, of_class: npt.NDArray[np.bool_], weights: Floats | None) -> Shares:
    """Return the share of the rows of a class beyond each threshold; all are beyond the first, 0."""
    rows = np.count_nonzero(of_class if weights is None else weights[of_class])
    total, squares, known = (
        np.full(sums.hits.size, one, np.float64) for one in (sums.hits[0], sums.hit_squares[0], rows)
    )
    return shares(total, sums.hits, squares, sums.hit_squares, known)


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
    half = normal_half(np.sqrt(variance), rows)
    return Means(mean, mean - half, mean + half)
