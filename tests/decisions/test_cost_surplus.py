"""The p-value of costs above those expected, against exact laws."""

import numpy as np
import pytest
from scipy import stats

from softmaxlib.decisions._cost_surplus import _outcomes, cost_p_value

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


@pytest.mark.parametrize(("rows", "fitted_rows", "surplus"), [(640, 320, 0.06), (20, 500, 0.2)])
def test_the_p_value_is_that_of_two_binomials(rows, fitted_rows, surplus):
    fitted = np.arange(fitted_rows + 1)
    paid_at_least = np.ceil(rows * (surplus + fitted / fitted_rows) - 1e-9)
    expected = stats.binom(fitted_rows, 0.2).pmf(fitted) @ stats.binom(rows, 0.2).sf(paid_at_least - 1)
    assert p_value(rows, fitted_rows, surplus) == pytest.approx(expected, rel=0.45)  # 50 draws as large
    halves = np.full(rows, 0.5)
    assert p_value(rows, fitted_rows, surplus, halves) == pytest.approx(expected, rel=0.45)


def test_many_costs_are_joined_to_a_few_near_ones():
    cost = np.random.default_rng(0).random(300) ** 2
    level, place = _outcomes(cost)
    assert level.size <= 16
    assert np.abs(level[place] - cost).max() <= np.ptp(cost) / 16
    np.testing.assert_allclose(level[place].sum(), cost.sum(), rtol=1e-12)
    of_sixteen = np.append(np.arange(15.0), 1000)
    sixteen, where = _outcomes(of_sixteen)
    np.testing.assert_array_equal(sixteen[where], of_sixteen)
    few, where = _outcomes(np.array([3.0, 1.0, 3.0]))
    assert few[where].tolist() == [3, 1, 3]
