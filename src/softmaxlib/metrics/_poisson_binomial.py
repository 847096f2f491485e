"""The number of hits among independent rows, each with its own probability and weight: its exact law."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._arrays import IntArray
from ._log_odds_grid import FINE, LogOddsGrid
from .predictions import CLASSES_AT_ONCE, Floats, Predictions

WEIGHTED = LogOddsGrid(8, 12)  # weighted rows have more kinds, so fewer cells
_DENSE = 4  # places of sums for each row, at most
_UNITS = 8  # of a typical weight, to which weights are rounded
# beyond, the normal law with its skewness and kurtosis is as good
_LARGEST_VARIANCE = 1e3
_LARGEST_LAW = 2048


class Cells(NamedTuple):
    """Rows of about the same probability and weight taken together, by rising probability."""

    edge: npt.NDArray[np.int64]  # the lower end, in steps of log-odds
    steps: int  # of log-odds to one
    rows: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]  # what each of these rows weighs in the law
    probability: Floats
    hits: npt.NDArray[np.int64]
    weight: Floats  # of all the rows, and of the hits, as it was given
    hit_weight: Floats

    @classmethod
    def of_classes(cls, predictions: Predictions) -> Iterator["Cells"]:
        """Yield the cells of one class after the other, of rows that all count the same."""
        for first in range(0, predictions.values.shape[1], CLASSES_AT_ONCE):
            for rows, hits, total in zip(*_sums_of_cells(predictions, first), strict=True):
                yield cls._of_sums(rows, hits, total, FINE)

    @classmethod
    def of_class_sums(cls, sums: Floats, grid: LogOddsGrid = FINE) -> Iterator["Cells"]:
        """Yield the same from the result of `class_sums`, added over parts of the rows."""
        for rows, hits, total in sums:
            yield cls._of_sums(rows.astype(np.int64), hits.astype(np.int64), total, grid)

    @classmethod
    def _of_sums(
        cls, rows: npt.NDArray[np.int64], hits: npt.NDArray[np.int64], total: Floats, grid: LogOddsGrid
    ) -> "Cells":
        filled = np.flatnonzero(rows)
        rows, hits = rows[filled], hits[filled]
        return cls(
            filled - grid.lowest,
            grid.steps,
            rows,
            np.ones_like(rows),
            total[filled] / rows,
            hits,
            rows.astype(np.float64),
            hits.astype(np.float64),
        )

    @classmethod
    def of_weighted(cls, probability: Floats, outcome: npt.NDArray[np.bool_], weights: Floats) -> "Cells":
        """Return the cells of rows of positive weights, which are rounded to eighths of a typical one."""
        units = _in_units(weights, probability * (1 - probability))
        with np.errstate(divide="ignore"):
            log_odds = np.log(probability) - np.log1p(-probability)
        bounded = np.clip(log_odds, -WEIGHTED.most, WEIGHTED.most)
        cell = np.floor(WEIGHTED.steps * bounded).astype(np.int64)
        kinds = int(units.max()) + 1
        keys = cell * kinds + units
        lowest = int(keys.min())
        if int(keys.max()) - lowest <= _DENSE * keys.size:  # no sorting
            place = keys - lowest
            every = np.bincount(place)
            filled = np.flatnonzero(every)
            keys, rows = filled + lowest, every[filled]
        else:
            keys, place, rows = np.unique(keys, return_inverse=True, return_counts=True)
            filled = np.arange(keys.size)
        total, hits, weight, hit_weight = (
            np.bincount(place, values).astype(np.float64)[filled]
            for values in (probability, outcome, weights, weights * outcome)
        )
        return cls(
            keys // kinds,
            WEIGHTED.steps,
            rows.astype(np.int64),
            keys % kinds,
            total / rows,
            hits.astype(np.int64),
            weight,
            hit_weight,
        )

    @classmethod
    def of_levels(
        cls,
        edge: IntArray,
        steps: int,
        weight: Floats,
        rows: IntArray,
        hits: IntArray,
        total: Floats,
    ) -> "Cells":
        """Return the cells of rows that are taken for rows of these weights, by rising edge."""
        probability = total / rows
        units = _in_units(weight, rows * probability * (1 - probability))
        return cls(edge, steps, rows, units, probability, hits, rows * weight, hits * weight)

    @property
    def variance(self) -> Floats:
        """The variance of the weight of the hits in each cell."""
        return self.rows * self.units**2 * self.probability * (1 - self.probability)

    @property
    def hits_variance(self) -> float:
        """The variance that a number of hits of equal weight has, if it is as uncertain."""
        of_weights = float((self.rows * self.units * self.probability * (1 - self.probability)).sum())
        variance = float(self.variance.sum())
        return of_weights**2 / variance if variance > 0 else 0.0

    @property
    def surplus(self) -> float:
        """The weight of the hits minus its expectation, in standard deviations."""
        surplus = float(self.hits @ self.units - (self.rows * self.units) @ self.probability)
        return surplus / float(np.sqrt(max(float(self.variance.sum()), np.finfo(np.float64).tiny)))

    @property
    def stated(self) -> float:
        """The weighted mean of the probability."""
        return float(self.weight @ self.probability / self.weight.sum())

    @property
    def observed(self) -> float:
        """The weighted share of hits."""
        return float(self.hit_weight.sum() / self.weight.sum())

    def part(self, begin: int, end: int) -> "Cells":
        """Return some of the cells, from one to before another."""
        some = slice(begin, end)
        return Cells(
            self.edge[some],
            self.steps,
            self.rows[some],
            self.units[some],
            self.probability[some],
            self.hits[some],
            self.weight[some],
            self.hit_weight[some],
        )

    def bounds(self) -> tuple[float, float]:
        """Return the smallest and largest probability of the cells."""
        low, high = self.edge[[0, -1]] + np.array([0, 1])
        return _share_of(low / self.steps), _share_of(high / self.steps)


def class_sums(predictions: Predictions) -> Floats:
    """Return the rows, the hits and the sum of probabilities of each cell: (classes, 3, cells).

    Those of parts of the rows add up.
    """
    parts = [
        np.stack(_sums_of_cells(predictions, first), axis=1, dtype=np.float64)
        for first in range(0, predictions.values.shape[1], CLASSES_AT_ONCE)
    ]
    return np.concatenate(parts)


def _sums_of_cells(
    predictions: Predictions, first: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Return rows, hits and sums of probabilities of each cell of some classes, from the first one on."""
    shape = (min(CLASSES_AT_ONCE, predictions.values.shape[1] - first), FINE.cells)
    sums = (np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape))
    _kernels.count_cells(
        predictions.values,
        predictions.are_probabilities,
        predictions.figure("most_likely"),
        predictions.figure("confidence"),
        predictions.labels,
        first,
        FINE.steps,
        FINE.most,
        (*sums, None),
    )
    return sums


def _in_units(weights: Floats, variance: Floats) -> npt.NDArray[np.int64]:
    """Return the weights as whole numbers; all of them 1 where they are equal."""
    if weights.min() == weights.max():
        return np.ones(weights.size, np.int64)
    of_hits = weights @ variance
    typical = weights**2 @ variance / of_hits if of_hits > 0 else weights.mean()
    return np.minimum(np.rint(_UNITS / typical * weights), 2.0**31).astype(np.int64)


def _share_of(log_odds: float) -> float:
    return float(1 / (1 + np.exp(-log_odds)))


def two_sided_p_value(cells: Cells) -> float:
    """Return twice the smaller tail probability of the weight of hits."""
    hits, variance = int(cells.hits @ cells.units), float(cells.variance.sum())
    mean = float((cells.rows * cells.units) @ cells.probability)
    size = 1 << int(np.ceil(np.log2(20 * np.sqrt(variance) + 64 * min(cells.units.max(), _UNITS))))
    if cells.hits_variance > _LARGEST_VARIANCE or size > _LARGEST_LAW:
        tail = _normal_tail(cells, hits - mean, variance)
    else:
        first, chance = _law(cells, mean, size)
        at = hits - first
        inside = 0 <= at < chance.size
        tail = min(chance[: at + 1].sum(), chance[at:].sum()) if inside else 0.0
    return float(np.clip(2 * tail, np.finfo(np.float64).eps, 1.0))


def _normal_tail(cells: Cells, surplus: float, variance: float) -> float:
    """Return the chance of a surplus at least as far on its side, by two terms of Edgeworth's series."""
    from scipy.special import ndtr

    if not variance > 0:
        return 1.0 if surplus == 0 else 0.0
    share, units = cells.probability * (1 - cells.probability), cells.units.astype(np.float64)
    third = float((cells.variance * units) @ (1 - 2 * cells.probability))
    skewness = np.sign(surplus) * third / variance**1.5
    excess = float((cells.variance * units**2) @ (1 - 6 * share)) / variance**2
    z = max(0.0, (abs(surplus) - 0.5) / np.sqrt(variance))
    terms = (
        skewness / 6 * (z**2 - 1)
        + excess / 24 * (z**3 - 3 * z)
        + skewness**2 / 72 * (z**5 - 10 * z**3 + 15 * z)
    )
    return float(ndtr(-z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * terms)


def _law(cells: Cells, mean: float, size: int) -> tuple[int, Floats]:
    """Return the probability of each of `size` counts around the mean, from the characteristic function."""
    first = max(0, int(mean) - size // 2)
    angle = 2 * np.pi * np.arange(size // 2 + 1) / size
    units, kind = np.unique(cells.units, return_inverse=True)
    turns = np.exp(-1j * np.outer(units, angle)) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.log(1 + cells.probability[:, None] * turns[kind])
    logarithm = cells.rows.astype(np.float64) @ factors + 1j * angle * first
    return first, np.clip(np.fft.irfft(np.exp(logarithm), size), 0, None)
