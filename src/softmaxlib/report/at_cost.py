"""Decisions and costs by other limits of the expected cost: the stops of a slider of the report."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..decisions import IfDecided
from ..metrics._bins import column_sums
from ..metrics.operating_points import Shares, shares
from ..metrics.predictions import Floats
from .cost_interval import CostRange, cost_interval

_COST_POINTS = 60
_MOST_SPREAD = 100_000  # rows
_COST_DIGITS = 3


class Means(NamedTuple):
    """A mean at each of some thresholds, with its 95% interval; NaN of fewer than 30 rows.

    Attributes
    ----------
    value, lower, upper : array of float (points,)
        The mean, and the ends of the interval.
    """

    value: Floats
    lower: Floats
    upper: Floats


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


def mean_of_rows(paid: Floats, weights: Floats | None, costs: CostRange) -> tuple[float, float, float]:
    """Return the mean cost of rows, with its interval."""
    if weights is None:
        rows, total = paid.size, paid.sum()
        sums = np.array([rows, total, np.square(paid).sum(), total, rows])
    else:
        squares = weights**2
        sums = np.array([weights.sum(), weights @ paid, squares @ paid**2, squares @ paid, squares.sum()])
    mean = _means(*np.split(sums, 5), costs=costs)
    return float(mean.value[0]), float(mean.lower[0]), float(mean.upper[0])


def at_cost(
    every: IfDecided, labels: npt.NDArray[np.int64] | None, weights: Floats | None, costs: CostRange
) -> AtCost:
    """Count the rows of at most each expected cost, and sum their costs.

    Parameters
    ----------
    every : IfDecided
        What each row would cost; the cost of setting aside is one of the stops.
    labels : array of int (rows,), or None
        The true classes, where actions are classes.
    weights : array (rows,), or None
        How often each row counts.
    costs : CostRange
        What a row can cost.
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
        of_squares, mixed, hit_squares, counted = decided, paid, hits, decided
    else:
        square = weights**2
        decided, _, paid, *hits = _from_below(column_sums(edges, every.expected, weights, every.paid, *right))
        of_squares, _, mixed, paid_squares, *hit_squares = _from_below(
            column_sums(edges, every.expected, square, every.paid, every.paid**2, *right)
        )
        counted = _from_below(column_sums(edges, every.expected, np.sign(weights)))[0]
        total, squares = float(weights.sum()), float(square.sum())
    over, over_squares = total - decided, squares - of_squares
    means = _means(
        np.full(stops.size, total),
        paid + abstain_cost * over,
        paid_squares + abstain_cost**2 * over_squares,
        mixed + abstain_cost * over_squares,
        np.full(stops.size, squares),
        costs,
    )
    accuracy = None if labels is None else shares(decided, hits[0], of_squares, hit_squares[0], counted)
    return AtCost(stops, decided / total, accuracy, means, abstain_cost)


def _from_below(of_bins: Floats) -> Floats:
    return np.cumsum(of_bins, axis=1)[:, :-1]


def _cost_stops(expected: Floats, abstain_cost: float) -> Floats:
    """Return round costs, spread evenly over the rows, with the rule's own among them."""
    some = expected[:: max(1, expected.size // _MOST_SPREAD)]  # the places of the stops need not be exact
    spread = np.quantile(some, np.linspace(0, 1, _COST_POINTS))
    rounded = [float(f"{value:.{_COST_DIGITS}g}") for value in spread.tolist()]
    return np.unique([*rounded, abstain_cost])


def _means(
    total: Floats, sums: Floats, squares: Floats, mixed: Floats, weight_squares: Floats, costs: CostRange
) -> Means:
    """Return weighted means and their intervals from the sums of w, w x, w^2 x^2, w^2 x and w^2."""
    mean = sums / total
    variance = np.maximum(squares - 2 * mean * mixed + mean**2 * weight_squares, 0.0) / total**2
    rows = total**2 / weight_squares  # as many of equal weight (Kish)
    return Means(mean, *cost_interval(mean, np.sqrt(variance), rows, costs))
