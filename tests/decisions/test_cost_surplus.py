"""The p-value of costs above those expected, against exact laws."""

import numpy as np
import pytest
from scipy import stats

from softmaxlib import Policy
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost
from softmaxlib.decisions._cost_surplus import _groups, _outcomes, _tilt, cost_p_value

MISTAKES = 1 - np.eye(2)


def p_value(rows, fitted_rows, paid, weights=None):
    """Of rows that all take class 0, with a probability of 0.2 that this costs 1, as often as labels say."""
    labels = np.repeat([1, 0], [rows // 5, rows - rows // 5])
    probabilities = np.tile([0.8, 0.2], (rows, 1))
    action = np.zeros(rows, np.int64)
    total = rows if weights is None else weights.sum()
    return cost_p_value(
        MISTAKES, probabilities, action, labels, paid, total, fitted_rows, 100_000, weights=weights
    )


@pytest.mark.parametrize(
    ("rows", "fitted_rows", "surplus"),
    [(640, 320, 0.06), (20, 500, 0.2), (1000, 10, 0.12), (1000, 10, 0.215)],
)
def test_the_p_value_is_that_of_two_binomials(rows, fitted_rows, surplus):
    fitted = np.arange(fitted_rows + 1)
    paid_at_least = np.ceil(rows * (surplus + fitted / fitted_rows) - 1e-9)
    expected = stats.binom(fitted_rows, 0.2).pmf(fitted) @ stats.binom(rows, 0.2).sf(paid_at_least - 1)
    assert p_value(rows, fitted_rows, surplus) == pytest.approx(expected, rel=0.45)  # 50 draws as large
    halves = np.full(rows, 0.5)
    assert p_value(rows, fitted_rows, surplus, halves) == pytest.approx(expected, rel=0.45)


@pytest.mark.parametrize("weighted", [False, True])
def test_frequencies_of_classes_are_those_of_old_and_new_rows_together(weighted):
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 50), rng.integers(3, size=50)
    weights = rng.random(50) if weighted else np.ones(50)
    rows = weights.sum()
    stated = weights @ probabilities / rows
    seen = np.array([weights[labels == label].sum() for label in range(4)]) / rows
    together = (200 * stated + rows * seen) / (200 + rows)
    found = _tilt(probabilities, labels, rows, 200, weights if weighted else None)
    np.testing.assert_allclose(found * stated, together, rtol=1e-12)
    impossible = _tilt(np.eye(2)[np.zeros(9, int)], np.ones(9, int), 9.0, 1, None)
    assert 1e30 < impossible[1] < 1e300  # such rows are all of the class, and no sum overflows


@pytest.mark.parametrize("weighted", [False, True])
def test_groups_hold_the_outcomes_of_their_rows(weighted):
    rng = np.random.default_rng(1)
    cost, tilt = rng.integers(0, 3, (5, 3)).astype(float), rng.random(5) * 3
    probabilities, action = rng.dirichlet(np.ones(5), 300), rng.integers(0, 2, 300) * 2
    weights = rng.random(300) if weighted else np.ones(300)
    tilted = tilt * probabilities
    tilted /= tilted.sum(axis=1, keepdims=True)
    groups = list(_groups(cost, probabilities, tilt, action, weights if weighted else None))
    assert len(groups) == 32  # two actions are taken
    for taken, own in ((0, groups[:16]), (2, groups[16:])):
        rows = action == taken
        level = np.unique(cost[:, taken])
        outcomes = np.stack([tilted[:, cost[:, taken] == one].sum(axis=1) for one in level], axis=1)
        squares = [group.rows * group.scale**2 for group in own]
        assert sum(group.rows for group in own) == rows.sum()
        assert sum(group.weight for group in own) == pytest.approx(weights[rows].sum(), rel=1e-12)
        assert sum(squares) == pytest.approx((weights[rows] ** 2).sum(), rel=1e-12)
        shares = np.array([group.probability for group in own])
        np.testing.assert_allclose(squares @ shares, weights[rows] ** 2 @ outcomes[rows], rtol=1e-12)
        expected = shares @ level
        assert (np.diff(expected) > 0).all()
        for group, mean in zip(own, expected, strict=True):
            np.testing.assert_allclose(group.surplus, level - mean, atol=1e-12)


def test_many_costs_are_joined_to_a_few_near_ones():
    cost = np.random.default_rng(0).random(300) ** 2
    level, place = _outcomes(cost)
    assert level.size == 16
    assert np.abs(level[place] - cost).max() <= np.ptp(cost) / 16
    np.testing.assert_allclose(level[place].sum(), cost.sum(), rtol=1e-12)
    of_sixteen = np.append(np.arange(15.0), 1000)
    sixteen, where = _outcomes(of_sixteen)
    np.testing.assert_array_equal(sixteen[where], of_sixteen)
    few, where = _outcomes(np.array([3.0, 1.0, 3.0]))
    assert few[where].tolist() == [3, 1, 3]


def test_a_class_that_was_impossible_and_is_there_overflows_nothing():
    logits = np.stack([np.zeros(300), np.random.default_rng(0).normal(size=300)], axis=1)
    policy = Policy(Identity(), MinimumCost(MISTAKES)).fit(logits, np.arange(300) % 2)
    audit = policy.audit(np.tile([[2000.0, 0.0]], (60, 1)), np.ones(60, int))
    (cost,) = [check for check in audit.checks if check.promise == "cost"]
    assert (cost.promised, cost.observed, cost.holds) == (0, 1, False)
