"""Tails and quantiles of discrete laws equal those of exact sums, and of scipy.stats."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from softmaxlib.metrics._laws import binomial_quantile, hypergeometric_tail


@pytest.mark.parametrize("level", [0.025, 0.5, 0.975])
def test_quantiles_of_the_binomial_law(level):
    rows = np.array([1.0, 2, 7, 50, 1000, 123_456, 10_000_000])[:, None]
    chance = np.array([0.0, 1e-9, 0.013, 0.25, 0.5, 0.77, 1 - 1e-6, 1.0])
    found = binomial_quantile(level, *np.broadcast_arrays(rows, chance))
    np.testing.assert_array_equal(found, np.maximum(stats.binom.ppf(level, rows, chance), 0))


@pytest.mark.parametrize(
    ("rows", "marked", "drawn"), [(1, 1, 1), (10, 4, 3), (10, 9, 8), (60, 7, 31), (200, 150, 120)]
)
def test_tails_of_the_hypergeometric_law(rows, marked, drawn):
    total = comb(rows, drawn)
    for least in range(-1, drawn + 2):
        some = range(max(least, 0), drawn + 1)
        exact = Fraction(sum(comb(marked, k) * comb(rows - marked, drawn - k) for k in some), total)
        assert hypergeometric_tail(least, rows, marked, drawn) == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize("aside", [0, 99_000, 100_000, 100_500, 101_000, 1_000_000])
def test_tails_of_many_rows(aside):
    found = hypergeometric_tail(aside, 1_020_000, 102_000 + aside // 100, 1_000_000)
    expected = stats.hypergeom.sf(aside - 1, 1_020_000, 102_000 + aside // 100, 1_000_000)
    assert found == pytest.approx(expected, rel=1e-7, abs=1e-300)
