"""Confidence against truth in the bins of a tally: the calibration error with its interval, and the curve."""

from fractions import Fraction

import numpy as np

from ._exact_sums import ExactSums
from ._tally_sums import SUMS_OF_BIN
from .bootstrap_interval import basic_interval
from .normal_mean import LEAST_ROWS
from .predictions import Floats
from .reliability_curve import ReliabilityCurve, reliability_curve_of_bins

_DRAWS = 2000


class TallyBins:
    """The sums of each bin, and what follows from them."""

    def __init__(self, sums: ExactSums, n_bins: int) -> None:
        self._exact = {
            name: [sums.exact(place * n_bins + bin_) for bin_ in range(n_bins)]
            for place, name in enumerate(SUMS_OF_BIN)
        }
        self._rounded = {name: np.array(list(map(float, column))) for name, column in self._exact.items()}
        self._gaps = [
            hits - stated for hits, stated in zip(self._exact["hits"], self._exact["confidence"], strict=True)
        ]

    @property
    def weight(self) -> Floats:
        """The weight of the rows of each bin."""
        return self._rounded["weight"]

    @property
    def confidence(self) -> Floats:
        """Mean confidence of the rows of each bin; NaN for an empty bin."""
        with np.errstate(invalid="ignore"):
            return self._rounded["confidence"] / self.weight

    @property
    def frequency(self) -> Floats:
        """Accuracy of the rows of each bin; NaN for an empty bin."""
        with np.errstate(invalid="ignore"):
            return self._rounded["hits"] / self.weight

    def error(self) -> Fraction:
        """Return the calibration error."""
        return sum(map(abs, self._gaps), start=Fraction(0)) / sum(self._exact["weight"])

    def overconfidence(self) -> Fraction:
        """Return the mean confidence minus the accuracy."""
        return -sum(self._gaps, start=Fraction(0)) / sum(self._exact["weight"])

    def curve(self) -> ReliabilityCurve:
        """Return the reliability curve."""
        sums = [self._rounded[name] for name in ("squares", "hits", "hit_squares", "rows")]
        return reliability_curve_of_bins(self.weight, self.confidence, self.frequency, *sums)

    def interval(self, level: float, stretch: float) -> tuple[float, float]:
        r"""Return the interval of the calibration error, stretched; NaN for fewer than 30 rows.

        Each row counts :math:`1 + \xi` times, with a normal :math:`\xi` of mean 0 and variance 1. Sums
        over the rows of a bin are then normal, with covariances that are sums over its rows too. So no row is
        needed, and bins with their weights and gaps are drawn by themselves.

        References
        ----------
        van der Vaart, Wellner, "Weak convergence and empirical processes" (Springer 1996), section 2.9, for
        the bootstrap with multipliers.
        """
        if sum(self._exact["rows"]) < LEAST_ROWS:
            return np.nan, np.nan
        columns = ("squares", "hit_squares", "square_confidence", "residual_squares")
        squares, hit_squares, stated, residual_squares = (self._exact[name] for name in columns)
        mixed = [hit - one for hit, one in zip(hit_squares, stated, strict=True)]
        left = [  # the variance of the gap that its weight does not explain
            max(float(square - cross**2 / weight), 0.0) if weight else 0.0
            for square, cross, weight in zip(residual_squares, mixed, squares, strict=True)
        ]
        slope = [
            float(cross / weight) if weight else 0.0 for cross, weight in zip(mixed, squares, strict=True)
        ]
        generator = np.random.default_rng(0)
        first, second = generator.standard_normal((2, _DRAWS, len(left)))
        weight = np.sqrt(self._rounded["squares"]) * first
        gaps = np.array(list(map(float, self._gaps))) + np.array(slope) * weight + np.sqrt(left) * second
        total = self.weight.sum()
        drawn = np.abs(gaps).sum(axis=1) / np.maximum(total + weight.sum(axis=1), total / 100)
        found = basic_interval(float(self.error()), drawn, level, 0.0, 1.0, stretch)
        return found.lower, found.upper
