"""The figures of two evaluations, their differences, and whether these are more than chance."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ..metrics import accuracy, brier_score, calibration_error, log_loss
from ..metrics._sums import Sums, mean_sums
from ..metrics.bootstrap_interval import SUMS, draws_of_sums
from ..metrics.normal_mean import LEAST_ROWS
from ..metrics.predictions import Floats, Predictions
from ..metrics.shares import effective_rows
from .comparison import FigureDifference
from .groups import Measured
from .row_results import RowResults

_RESAMPLES = 1000
_EXCHANGES = 999
_EXCHANGES_AT_ONCE = 64
_MOST_GROUPS = 5000  # of the rows of one evaluation; more rows are exchanged in groups
_LEVEL = 0.95
_CALIBRATION = "calibration error"
_METRICS = {
    "accuracy": accuracy,
    "log loss": log_loss,
    "Brier score": brier_score,
    _CALIBRATION: calibration_error,
}
_LARGER_IS_BETTER = {"accuracy": True, "accuracy of the decided": True, "share decided": None}


class _Figure(NamedTuple):
    """A figure of one evaluation, as a function of sums over its rows, and the effective number of these."""

    name: str
    sums: Sums
    rows: float


class _Pair(NamedTuple):
    """A figure of both evaluations, with its values."""

    first: _Figure
    second: _Figure
    values: tuple[float, float]


def figure_differences(
    one: RowResults, other: RowResults, calibration_p_values: tuple[float, float], is_paired: bool, seed: int
) -> tuple[FigureDifference, ...]:
    """Compare two evaluations by each figure that both have.

    Parameters
    ----------
    one, other : RowResults
        Their rows, in the same order if they are paired.
    calibration_p_values : pair of float
        The chance of a calibration error as large, were the probabilities of each exactly right.
    is_paired : bool
        Whether both are on the same rows.
    seed : int
        Seed of the draws.
    """
    pairs = list(_pairs(one, other))
    rows = len(one.labels), len(other.labels)
    found = []
    for pair, p_value in zip(pairs, _p_values(pairs, rows, is_paired, seed).tolist(), strict=True):
        name, (first, second) = pair.first.name, pair.values
        if name == _CALIBRATION:  # an error that chance alone explains makes no model the worse
            p_value = max(p_value, calibration_p_values[int(second > first)])
        difference = _interval(pair, rows, is_paired, seed)
        if min(pair.first.rows, pair.second.rows) < LEAST_ROWS:
            difference, p_value = Measured(difference.value, np.nan, np.nan), np.nan
        better = _better(name, difference, p_value)
        found.append(FigureDifference(name, first, second, difference, p_value, better))
    return tuple(found)


def _pairs(one: RowResults, other: RowResults) -> Iterator[_Pair]:
    """Yield the figures that both evaluations have."""
    for mine, yours in zip(_figures(one), _figures(other), strict=True):
        if mine is None or yours is None:
            continue
        values = _value(mine.sums, len(one.labels)), _value(yours.sums, len(other.labels))
        if np.isfinite(values).all():
            yield _Pair(mine, yours, values)


def _figures(rows: RowResults) -> Iterator[_Figure | None]:
    """Yield the figures in a fixed order; None for a figure that does not apply."""
    known = {name: getattr(rows, name) for name in ("correct", "confidence", "log_loss", "brier_score")}
    # of the figures alone: the values themselves are not kept
    predictions = Predictions(np.empty((len(rows.labels), 0)), rows.labels, rows.sample_weight, False, known)
    weights = predictions.weights
    every = effective_rows(weights)
    for name, metric in _METRICS.items():
        yield _Figure(name, SUMS[metric](predictions), every)
    decided, right, cost = rows.decided, rows.right, rows.cost
    yield None if decided is None else _Figure("share decided", mean_sums(decided, weights), every)
    of_decided = weights if decided is None else weights * decided
    if right is None or not of_decided.any():
        yield None
    else:
        yield _Figure("accuracy of the decided", mean_sums(right, of_decided), effective_rows(of_decided))
    yield None if cost is None else _Figure("cost of a row", mean_sums(cost, weights), every)


def _value(sums: Sums, rows: int) -> float:
    return float(sums.figure(sums.of_groups(np.zeros(rows, np.int64), 1))[0])


def _interval(pair: _Pair, rows: tuple[int, int], is_paired: bool, seed: int) -> Measured:
    """Return the difference, with its basic bootstrap interval: of the same draws if rows are paired."""
    with np.errstate(invalid="ignore", divide="ignore"):  # draws in which no row is decided
        (draws,) = draws_of_sums([pair.second.sums], rows[1], _RESAMPLES, seed if is_paired else seed + 1)
        draws -= draws_of_sums([pair.first.sums], rows[0], _RESAMPLES, seed)[0]
    value = pair.values[1] - pair.values[0]
    low, high = np.nanquantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Measured(value, float(2 * value - high), float(2 * value - low))


def _p_values(pairs: Sequence[_Pair], rows: tuple[int, int], is_paired: bool, seed: int) -> Floats:
    """Return the chance of differences as large as found, if the rows of both are exchangeable.

    Paired rows change sides at random, each with its partner. Other rows are dealt out to both sides again.
    The figures of each draw come from the sums over its rows. Many rows are exchanged in groups of equal
    size; if one evaluation has far more rows than the other, some of its groups are enough.

    References
    ----------
    Pitman, "Significance tests which may be applied to samples from any populations", Supplement to the
    Journal of the Royal Statistical Society 4 (1937).
    """
    size = -(-min(rows) // _MOST_GROUPS)
    sides = [[pair.first.sums for pair in pairs], [pair.second.sums for pair in pairs]]
    one, other = (_sums_of_groups(sums, count, size) for sums, count in zip(sides, rows, strict=True))
    total = one.sum(axis=0) + other.sum(axis=0)
    parts = np.cumsum([sums.width for sums in sides[0]])[:-1]

    def distances(first: Floats) -> Floats:
        """Return the size of each difference (..., figures), if these are the sums of the first side."""
        figures = [
            [sums.figure(part) for sums, part in zip(side, np.split(drawn, parts, axis=-1), strict=True)]
            for side, drawn in zip(sides, (first, total - first), strict=True)
        ]
        return np.abs(np.subtract(figures[1], figures[0])).T

    generator = np.random.default_rng(seed)
    every = other - one if is_paired else np.concatenate([one, other])
    start = one.sum(axis=0) if is_paired else np.zeros(total.size)
    of_first = np.arange(len(every)) < len(one)
    reached = np.zeros(len(pairs))
    with np.errstate(invalid="ignore", divide="ignore"):  # draws in which no row is decided
        # equal sums may differ in their last digits by the order they are taken in
        limit = distances(one.sum(axis=0)) * (1 - 1e-9)
        for done in range(0, _EXCHANGES, _EXCHANGES_AT_ONCE):
            shape = min(_EXCHANGES_AT_ONCE, _EXCHANGES - done), len(every)
            if is_paired:
                chosen = generator.integers(0, 2, shape, np.uint8)
            else:
                chosen = generator.permuted(np.broadcast_to(of_first, shape), axis=1)
            reached += (~(distances(start + chosen @ every) < limit)).sum(axis=0)
    return (1 + reached) / (1 + _EXCHANGES)


def _sums_of_groups(figures: Sequence[Sums], rows: int, size: int) -> Floats:
    """Return the sums of each group of about as many rows; if there are many groups, of some of them."""
    groups = rows // size
    # the rows of further groups go into one more, which is left out
    place = np.minimum(np.arange(rows) % groups, 2 * _MOST_GROUPS)
    kept = min(groups, 2 * _MOST_GROUPS)
    return np.concatenate([sums.of_groups(place, kept + 1)[:kept] for sums in figures], axis=1)


def _better(figure: str, difference: Measured, p_value: float) -> Literal["first", "second", ""]:
    larger = _LARGER_IS_BETTER.get(figure, False)
    is_clear = p_value <= 1 - _LEVEL and not difference.lower <= 0 <= difference.upper
    if larger is None or not is_clear:
        return ""
    return "second" if (difference.value > 0) == larger else "first"
