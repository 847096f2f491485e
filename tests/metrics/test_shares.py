"""Shares of weighted rows; `benchmarks/weighted_shares.py` measures more laws of weights."""

import numpy as np
import pytest
from scipy import stats

from softmaxlib import evaluate, metrics
from softmaxlib.metrics.shares import clopper_pearson, effective_rows, share_of_sums, weighted_share

GENERATOR = np.random.default_rng(0)
LOGITS = 2 * GENERATOR.normal(size=(300, 3))
LABELS = GENERATOR.integers(0, 3, 300)
FIRST_WRONG = np.flatnonzero(LOGITS.argmax(axis=1) != LABELS)[0]


def with_a_heavy_row(weight):
    weights = np.ones(300)
    weights[FIRST_WRONG] = weight
    return weights


@pytest.mark.parametrize("weight", [1.0, 0.1, 3e7])
@pytest.mark.parametrize(("hits", "rows"), [(0, 20), (7, 20), (20, 20), (490, 500)])
def test_with_equal_weights_it_is_the_interval_of_clopper_and_pearson(hits, rows, weight):
    share = weighted_share(np.arange(rows) < hits, np.full(rows, weight))
    expected = stats.binomtest(hits, rows).proportion_ci(0.95, method="exact")
    assert float(share.rows) == pytest.approx(rows, rel=1e-12)
    np.testing.assert_allclose(clopper_pearson(share, 0.95), tuple(expected), rtol=1e-9)


def test_a_row_that_weighs_all_says_as_much_as_one_row():
    weights = with_a_heavy_row(1e10)
    accuracy = metrics.Tally(3).update(LOGITS, LABELS, weights).compute().accuracy_interval
    assert accuracy == pytest.approx((0, 0.975), abs=1e-6)
    assert "95% interval below 0.001% to 97.5%" in " ".join(
        evaluate(LOGITS, LABELS, sample_weight=weights).verdict.sentences
    )


def test_no_outcome_makes_weighted_rows_worth_more_than_kishs_number():
    rng = np.random.default_rng(1)
    for spread in (0.3, 1.0, 2.0):
        weights = rng.lognormal(0, spread, 200)
        for share in (0.02, 0.5, 0.98):
            found = weighted_share(rng.random(200) < share, weights)
            assert 1 <= found.rows <= effective_rows(weights) * (1 + 1e-12)
    alike = weighted_share(np.arange(300) != FIRST_WRONG, with_a_heavy_row(1000.0))  # was 300
    assert float(alike.rows) == pytest.approx(1299**2 / (1000**2 + 299))


def missed(weights, hit, truth):
    """Return how many of the intervals, one of each line, do not hold the true share."""
    squares = weights**2
    sums = (one.sum(axis=1) for one in (weights, weights * hit, squares, squares * hit, np.sign(weights)))
    low, high = clopper_pearson(share_of_sums(*sums), 0.95)
    return np.mean((low > truth) | (high < truth))


@pytest.mark.parametrize(
    ("part", "size", "truth"),
    [(0.1, 200, 0.9), (0.02, 1000, 0.95), (0.02, 1000, 0.5), (0.02, 200, 0.95)],  # were 15, 37, 6 and 22 %
)
def test_weights_of_chance_are_not_taken_for_knowledge(part, size, truth):
    rng = np.random.default_rng(2)
    weights = np.where(rng.random((1000, size)) < part, 50.0, 1.0)
    assert missed(weights, rng.random((1000, size)) < truth, truth) <= 0.06


def test_heavy_rows_of_another_share_are_seen():
    """Kish's number alone would miss in 10 % of the samples."""
    rng = np.random.default_rng(3)
    heavy = rng.random((1000, 1000)) < 0.05
    hit = rng.random(heavy.shape) < np.where(heavy, 0.6, 0.95)
    truth = (0.05 * 19 * 0.6 + 0.95 * 0.95) / (0.05 * 19 + 0.95)
    assert missed(np.where(heavy, 19.0, 1.0), hit, truth) <= 0.06


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("weight", [1e150, 1e300, 1.7e308])
def test_weights_may_differ_by_any_factor(weight):
    weights = with_a_heavy_row(weight)
    found = evaluate(LOGITS, LABELS, sample_weight=weights, groups=np.arange(300) % 3)
    assert found.groups.groups[0].accuracy.lower >= 0
    curve = metrics.reliability_curve(LOGITS, LABELS, sample_weight=weights)
    assert ((curve.lower <= curve.frequency) & (curve.frequency <= curve.upper)).all()
    assert (curve.upper - curve.lower > 0.1).all()
