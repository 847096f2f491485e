"""The number of hits among independent rows, each with its own probability: its exact law."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._predictions import Floats

# rows whose log-odds differ by less are taken together: the variance grows by 2e-5 of itself
_CELLS_OF_LOG_ODDS = 32
_MOST_LOG_ODDS = 40
# beyond, the normal law with its skewness and kurtosis is as good
_LARGEST_VARIANCE = 1e3


class Cells(NamedTuple):
    """Rows of about the same probability taken together, in rising order."""

    edge: npt.NDArray[np.int64]  # the lower end, in steps of log-odds
    rows: npt.NDArray[np.int64]
    probability: Floats
    hits: npt.NDArray[np.int64]

    @classmethod
    def of(cls, probability: Floats, outcome: npt.NDArray[np.bool_]) -> "Cells":
        """The cells of one probability and outcome per row."""
        with np.errstate(divide="ignore"):
            log_odds = np.log(probability) - np.log1p(-probability)
        clipped = np.clip(log_odds, -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
        cell = np.floor(_CELLS_OF_LOG_ODDS * clipped).astype(np.int64)
        lowest = int(cell.min())
        rows = np.bincount(cell - lowest)
        filled = np.flatnonzero(rows)
        total, hits = (np.bincount(cell - lowest, values)[filled] for values in (probability, outcome))
        mean = (total / rows[filled]).astype(np.float64)
        return cls(filled + lowest, rows[filled].astype(np.int64), mean, hits.astype(np.int64))

    @property
    def variance(self) -> Floats:
        """Of the number of hits in each cell."""
        return self.rows * self.probability * (1 - self.probability)

    def part(self, which: npt.NDArray[np.bool_]) -> "Cells":
        """Some of the cells."""
        return Cells(self.edge[which], self.rows[which], self.probability[which], self.hits[which])

    def bounds(self) -> tuple[float, float]:
        """Between which probabilities the cells lie."""
        low, high = self.edge[[0, -1]] + np.array([0, 1])
        return _share_of(low), _share_of(high)


def _share_of(end: int) -> float:
    return float(1 / (1 + np.exp(-end / _CELLS_OF_LOG_ODDS)))


def two_sided_p_value(cells: Cells) -> float:
    """Twice the chance of so many hits or more, or of so few or fewer, whichever is less likely."""
    hits, variance = int(cells.hits.sum()), float(cells.variance.sum())
    mean = float(cells.rows @ cells.probability)
    if variance > _LARGEST_VARIANCE:
        tail = _normal_tail(cells, hits - mean, variance)
    else:
        first, chance = _law(cells, mean, variance)
        at = hits - first
        inside = 0 <= at < chance.size
        tail = min(chance[: at + 1].sum(), chance[at:].sum()) if inside else 0.0
    return float(np.clip(2 * tail, np.finfo(np.float64).eps, 1.0))


def _normal_tail(cells: Cells, surplus: float, variance: float) -> float:
    """The chance of a surplus at least as far on its side, by two terms of Edgeworth's series."""
    from scipy.stats import norm

    share = cells.probability * (1 - cells.probability)
    skewness = np.sign(surplus) * float(cells.variance @ (1 - 2 * cells.probability)) / variance**1.5
    excess = float(cells.variance @ (1 - 6 * share)) / variance**2
    z = max(0.0, (abs(surplus) - 0.5) / np.sqrt(variance))
    terms = (
        skewness / 6 * (z**2 - 1)
        + excess / 24 * (z**3 - 3 * z)
        + skewness**2 / 72 * (z**5 - 10 * z**3 + 15 * z)
    )
    return float(norm.sf(z) + norm.pdf(z) * terms)


def _law(cells: Cells, mean: float, variance: float) -> tuple[int, Floats]:
    """The chance of each number of hits within ten standard deviations, from the characteristic function."""
    size = 1 << int(np.ceil(np.log2(20 * np.sqrt(variance) + 64)))
    first = max(0, int(mean) - size // 2)
    angle = 2 * np.pi * np.arange(size // 2 + 1) / size
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.log(1 + np.outer(cells.probability, np.exp(-1j * angle) - 1))
    logarithm = cells.rows.astype(np.float64) @ factors + 1j * angle * first
    return first, np.clip(np.fft.irfft(np.exp(logarithm), size), 0, None)
