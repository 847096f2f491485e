"""Decisions and their accuracy at other thresholds, counted at each: nothing is interpolated."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ._bins import closed_below, column_sums, confidence_counts
from .predictions import Floats, Predictions
from .shares import ShareSums, clopper_pearson, share_of_sums

_LEVEL = 0.95
_PERCENTS = np.arange(1, 100) / 100
_NINES = np.concatenate([np.arange(991, 1000) / 1000, np.arange(9991, 10000) / 10000])


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


class Stops(NamedTuple):
    """Thresholds at which rows are counted, rising from 0.

    Attributes
    ----------
    confidence, threshold : array (points,)
        On the confidence, and on the probability of the second of two classes; none of more classes.
    """

    confidence: Floats
    threshold: Floats

    @classmethod
    def of(cls, classes: int, confidence: float | None = None, threshold: float | None = None) -> Self:
        """Return those that are usual for a number of classes, with those of a policy."""
        of_second = probability_stops(threshold) if classes == 2 else np.zeros(0)
        return cls(confidence_stops(classes, confidence), of_second)


class StopSums(NamedTuple):
    """Sums over the rows beyond each of some thresholds, the first of which is 0; misses and hits apart.

    Attributes
    ----------
    weight, square : array (2, points)
        Of the weights of the rows, and of their squares.
    rows : array (2, points)
        Rows whose weight is not 0.
    """

    weight: Floats
    square: Floats
    rows: Floats

    @classmethod
    def above(cls, stops: Floats, values: Floats, hit: npt.NDArray[np.bool_], weights: Floats | None) -> Self:
        """Sum the rows whose value, from 0 to 1, is at least each stop."""
        edges = edges_at(stops)
        if weights is None:
            rows, _, hits = column_sums(edges, values, None, hit)
            return cls.of_counts(rows, hits)
        every = (weights, weights**2, np.sign(weights))
        return cls.of_bins(*(column_sums(edges, values, one, ~hit, hit)[2:] for one in every))

    @classmethod
    def of_counts(cls, rows: Floats, hits: Floats) -> Self:
        """Sum rows without weights, from how many are in each bin that begins at a stop."""
        counts = np.stack([rows - hits, hits])
        return cls.of_bins(counts, counts, counts)  # a weight of 1 is its own square

    @classmethod
    def of_bins(cls, *of_bins: Floats) -> Self:
        """Sum the three from what each bin holds that begins at a stop."""
        return cls(*(np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in of_bins))

    def share(self, *, of_misses: bool = False) -> ShareSums:
        """Return the sums of the share of the hits beyond each threshold, or of the misses."""
        one = 0 if of_misses else 1
        sums = [(column.sum(axis=0), column[one]) for column in self]
        return ShareSums(*(part for pair in sums for part in pair))


def shares(total: Floats, hits: Floats, squares: Floats, hit_squares: Floats, rows: Floats) -> Shares:
    """Return shares with their intervals, from sums of weights and of their squares."""
    share = share_of_sums(total, hits, squares, hit_squares, rows)
    low, high = clopper_pearson(share, _LEVEL)
    some = total > 0
    return Shares(*(np.where(some, one, np.nan) for one in (share.value, low, high)))


def edges_at(stops: Floats) -> Floats:
    """Return edges between which the rows at each stop, the first of which is 0, are those above an edge."""
    return closed_below(np.append(stops, 1.0))


def confidence_stops(classes: int, own: float | None) -> Floats:
    """Return the thresholds on the confidence, with the policy's own."""
    least = 1 / classes
    return np.unique(
        np.concatenate([[0.0], _PERCENTS[least < _PERCENTS], _NINES, [] if own is None else [own]])
    )


def probability_stops(own: float | None) -> Floats:
    """Return the thresholds on the probability of the second of two classes, with the policy's own."""
    small = (1 - _NINES)[::-1].round(4)
    return np.unique(np.concatenate([[0.0], small, _PERCENTS, _NINES, [] if own is None else [own]]))


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
        sums = StopSums.of_counts(*confidence_counts(predictions, edges_at(stops)))
    else:
        rows = predictions.figure("confidence"), predictions.figure("correct")
        sums = StopSums.above(stops, *rows, weights)
    return at_confidence_of_sums(stops, sums)


def at_confidence_of_sums(stops: Floats, sums: StopSums) -> AtConfidence:
    """Return the same from the sums at these stops, of right rows and wrong ones."""
    share = sums.share()
    some = share.total > 0
    accuracy = shares(*share[:5])
    return AtConfidence(
        stops[some], (share.total / share.total[0])[some], Shares(*(part[some] for part in accuracy))
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
    stops = probability_stops(own)
    rows = predictions.column(1), predictions.labels == 1, predictions.sample_weight
    return at_threshold_of_sums(stops, StopSums.above(stops, *rows))


def at_threshold_of_sums(stops: Floats, sums: StopSums) -> AtThreshold | None:
    """Return the same from the sums at these stops, of both classes; None where one has no rows."""
    found, mistaken = sums.share(), sums.share(of_misses=True)
    if not found.hits[0] or not mistaken.hits[0]:
        return None
    return AtThreshold(
        threshold=stops,
        taken=found.total / found.total[0],
        recall=_found(found),
        precision=shares(*found[:5]),
        false_positive_rate=_found(mistaken),
    )


def _found(sums: ShareSums) -> Shares:
    """Return the share of the rows of a class beyond each threshold; all are beyond the first, 0."""
    total, squares, rows = (
        np.full(sums.hits.size, one, np.float64)
        for one in (sums.hits[0], sums.hit_squares[0], sums.hit_rows[0])
    )
    return shares(total, sums.hits, squares, sums.hit_squares, rows)
