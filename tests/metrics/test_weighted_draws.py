"""Drawn outcomes of weighted rows: those of single rows, and tests that stay exact in confident models."""

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from softmaxlib import metrics
from softmaxlib.metrics._weighted_draws import RowOutcomes, WeightedCells, weighted_outcomes


def test_each_row_is_drawn_by_itself():
    rng = np.random.default_rng(0)
    probability = np.array([0.0, 1.0, 0.5, 0.2, 0.97, 1e-3, 0.51])
    weights = 2.0 ** np.arange(7)  # every outcome has a sum of its own
    drawn = RowOutcomes.of(np.zeros(7, np.int64), 1, probability, weights).draw(rng, 20_000)[:, 0]
    hits = drawn.astype(np.int64)[:, None] >> np.arange(7) & 1
    np.testing.assert_array_equal(drawn, hits @ weights)
    for found, expected in zip(hits.sum(axis=0), probability, strict=True):
        assert binomtest(int(found), len(hits), expected).pvalue > 1e-4
    correlation = np.corrcoef(hits[:, 2:].T) - np.eye(5)
    assert np.abs(correlation).max() < 5 / np.sqrt(len(hits))


def test_cells_have_the_mean_and_nearly_the_spread_of_their_rows():
    rng = np.random.default_rng(0)
    rows, groups = 20_000, 5
    group, probability = rng.integers(groups, size=rows), rng.random(rows)
    weights = rng.lognormal(size=rows)
    outcomes = weighted_outcomes(group, groups, probability, weights)
    assert isinstance(outcomes, WeightedCells)
    drawn = outcomes.draw(rng, 4000)
    for one in range(groups):
        of_group = group == one
        w, p = weights[of_group], probability[of_group]
        assert drawn[:, one].mean() == pytest.approx(w @ p, rel=0.002)
        assert drawn[:, one].std() >= 0.98 * np.sqrt(w**2 @ (p * (1 - p)))


@pytest.mark.parametrize("rows", [50, 100_000])
def test_all_right_gives_the_whole_weight(rows):
    """The usual outcome of a confident model: its draws must equal what such rows give, to the last digit."""
    rng = np.random.default_rng(0)
    probability, weights = rng.uniform(0.9, 1, rows), rng.choice([1.0, 1.3], rows)
    outcomes = weighted_outcomes(np.zeros(rows, np.int64), 1, probability, weights)
    usual = outcomes.usual.sum()
    assert usual == pytest.approx(weights.sum(), rel=1e-12)


def test_rows_that_are_all_right_are_no_evidence():
    p = np.tile([0.999, 0.001], (20, 1))
    p[:10] = [0.9985, 0.0015]
    labels, weights = np.zeros(20, int), np.repeat([1.0, 1.3], 10)
    for scope in ("top_label", "classwise"):
        options = {"probabilities": True, "sample_weight": weights, "scope": scope}
        assert metrics.calibration_test(p, labels, **options).p_value == 1
    tally = metrics.Tally(2, tests=True).update(np.log(p), labels, weights).compute()
    assert tally.calibration_test.p_value == 1


@pytest.mark.parametrize(
    ("test", "samples", "simulations"),
    [(metrics.calibration_test, 100, 999), (metrics.smooth_calibration_test, 40, 99)],
    ids=["calibration_test", "smooth_calibration_test"],
)
def test_a_confident_model_that_is_right_is_rejected_as_often_as_stated(test, samples, simulations):
    """With weights of two sizes 23 of 100 such samples were rejected at 5 %."""
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(samples):
        miss = rng.beta(0.5, 50, 30)
        labels = (rng.random(30) < miss).astype(int)
        weights = np.where(rng.random(30) < 0.05, 50.0, 1.0)
        rows = np.stack([1 - miss, miss], axis=1)
        options = {"probabilities": True, "sample_weight": weights, "simulations": simulations}
        p_values.append(test(rows, labels, **options).p_value)
    assert binomtest(sum(p <= 0.05 for p in p_values), samples, 0.05, "greater").pvalue > 0.01
    assert kstest(p_values, "uniform", alternative="greater").pvalue > 0.01
