import numpy as np
import pytest
from scipy import stats

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError

from .made import made


def test_the_null_is_the_same_figure_of_outcomes_drawn_from_the_probabilities() -> None:
    p, labels = made(0, 150, sharpen=1.5)
    test = metrics.smooth_calibration_test(p, labels, probabilities=True, simulations=300)
    assert test.value == pytest.approx(
        metrics.smooth_calibration_error(p, labels, probabilities=True), abs=1e-12
    )
    generator = np.random.default_rng(1)
    expected = []
    for _ in range(300):
        drawn = (generator.random((150, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        expected.append(metrics.smooth_calibration_error(p, drawn, probabilities=True))
    assert stats.ks_2samp(test.null, expected).pvalue > 0.01
    assert test.expected == test.null.mean()
    assert (np.diff(test.null) >= 0).all()
    assert test.p_value == (1 + (test.null >= test.value - 1e-12).sum()) / 301


def test_p_values_of_calibrated_probabilities_are_uniform() -> None:
    p_values = [
        metrics.smooth_calibration_test(
            *made(seed, 200), simulations=19, random_state=seed, probabilities=True
        ).p_value
        for seed in range(30)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_what_is_not_calibrated_is_found(real_predictions, name: str) -> None:
    test = metrics.smooth_calibration_test(*real_predictions(name), simulations=200)
    assert test.p_value == 1 / 201
    assert test.value > 5 * test.expected


def test_certain_and_right_is_no_error() -> None:
    test = metrics.smooth_calibration_test(np.eye(3), [0, 1, 2], probabilities=True, simulations=5)
    assert (test.value, test.p_value) == (0.0, 1.0)


def test_a_seed_repeats_and_simulations_are_checked() -> None:
    p, labels = made(4, 50)
    one, other = (
        metrics.smooth_calibration_test(p, labels, probabilities=True, simulations=9, random_state=2)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.null, other.null)
    with pytest.raises(InvalidInputError, match="simulations must be"):
        metrics.smooth_calibration_test(p, labels, probabilities=True, simulations=0)
