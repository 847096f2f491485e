import numpy as np
import pytest
from scipy import stats

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError

from .made import made


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "l2", "binning": "equal_mass"},
        {"norm": "l1", "debiased": True},
        {"scope": "classwise", "n_bins": 5},
        {"scope": "classwise", "norm": "max", "binning": "equal_mass", "n_bins": 4},
    ],
)
def test_the_null_is_the_same_figure_of_labels_drawn_from_the_probabilities(options: dict) -> None:
    p, labels = made(0, 150, sharpen=1.5)
    test = metrics.calibration_test(p, labels, probabilities=True, simulations=1500, **options)
    assert test.value == pytest.approx(
        metrics.calibration_error(p, labels, probabilities=True, **options), abs=1e-12
    )
    generator = np.random.default_rng(1)
    expected = []
    for _ in range(600):
        drawn = (generator.random((150, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        expected.append(metrics.calibration_error(p, drawn, probabilities=True, **options))
    assert stats.ks_2samp(test.null, expected).pvalue > 0.01
    assert test.expected == test.null.mean()
    assert (np.diff(test.null) >= 0).all()
    larger = (test.null >= test.value - 1e-12).sum()
    assert test.p_value == (1 + larger) / 1501


@pytest.mark.parametrize("scope", ["top_label", "classwise"])
def test_p_values_of_calibrated_probabilities_are_uniform(scope: str) -> None:
    p_values = [
        metrics.calibration_test(
            *made(seed, 200), scope=scope, simulations=199, random_state=seed, probabilities=True
        ).p_value
        for seed in range(200)
    ]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_what_is_not_calibrated_is_found(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    test = metrics.calibration_test(logits, labels)
    assert test.p_value == 1 / 1001
    assert test.value > 5 * test.expected
    assert metrics.calibration_test(*made(3, 10_000), probabilities=True).p_value > 0.01


def test_logits_and_probabilities_give_the_same_and_a_seed_repeats() -> None:
    p, labels = made(4)
    first = metrics.calibration_test(p, labels, probabilities=True)
    again = metrics.calibration_test(np.log(p), labels)
    np.testing.assert_allclose(first.null, again.null, atol=1e-12)
    other = metrics.calibration_test(p, labels, probabilities=True, random_state=1)
    assert (first.null != other.null).any()


def test_no_simulation_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="simulations must be a whole number, 1 to 100000000; got 0"):
        metrics.calibration_test(*made(5), simulations=0, probabilities=True)


@pytest.mark.parametrize("test", [metrics.calibration_test, metrics.smooth_calibration_test])
def test_rare_mistakes_raise_no_more_false_alarms_than_stated(test) -> None:
    """0.6 % of the rows are positive, three of 500 on average: the null is drawn, not taken for normal."""
    generator = np.random.default_rng(6)
    rejected = 0
    for _ in range(40):
        positive = 1 / (1 + np.exp(-generator.normal(-6.2, 1.5, 500)))
        labels = (generator.random(500) < positive).astype(int)
        p = np.stack([1 - positive, positive], axis=1)
        rejected += test(p, labels, probabilities=True, simulations=19).p_value <= 0.05
    assert rejected <= stats.binom.ppf(0.999, 40, 0.05)
