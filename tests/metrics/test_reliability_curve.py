import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError

from .made import made


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_scikit_learn_gives_the_same_points(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    p = np.exp(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
    for label in (0, 3):
        frequency, confidence = calibration_curve(labels == label, np.minimum(p[:, label], 1), n_bins=15)
        curve = metrics.reliability_curve(logits, labels, class_index=label)
        np.testing.assert_allclose(curve.frequency, frequency, atol=1e-9)
        np.testing.assert_allclose(curve.confidence, confidence, atol=1e-9)


@pytest.mark.parametrize("binning", ["equal_width", "equal_mass"])
def test_the_gaps_make_the_calibration_error(binning: str) -> None:
    p, labels = made(0, sharpen=2.0)
    curve = metrics.reliability_curve(p, labels, binning=binning, probabilities=True)
    gaps = np.abs(curve.confidence - curve.frequency)
    value = metrics.calibration_error(p, labels, binning=binning, probabilities=True)
    assert curve.weight @ gaps / curve.weight.sum() == pytest.approx(value, rel=1e-12)
    assert curve.weight.sum() == labels.size
    assert ((curve.lower_edge < curve.confidence) & (curve.confidence <= curve.upper_edge)).all()


def test_the_intervals_are_clopper_and_pearsons() -> None:
    p, labels = made(1)
    curve = metrics.reliability_curve(p, labels, n_bins=10, level=0.9, probabilities=True)
    for rows, frequency, lower, upper in zip(
        curve.weight, curve.frequency, curve.lower, curve.upper, strict=True
    ):
        expected = stats.binomtest(round(rows * frequency), int(rows)).proportion_ci(0.9, "exact")
        assert (lower, upper) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_bin_without_a_mistake_and_one_without_a_hit() -> None:
    p = np.tile([0.8, 0.2], (10, 1))
    for label, side in ((0, "upper"), (1, "lower")):
        curve = metrics.reliability_curve(p, [label] * 10, probabilities=True)
        assert getattr(curve, side)[0] == 1 - label


def test_the_band_holds_calibrated_frequencies() -> None:
    inside = total = 0
    for seed in range(100):
        curve = metrics.reliability_curve(*made(seed, 400), level=0.9, probabilities=True)
        inside += ((curve.null_lower <= curve.frequency) & (curve.frequency <= curve.null_upper)).sum()
        total += curve.frequency.size
    # whole rows make the band somewhat wider than it says, never narrower
    assert 0.9 - 0.02 < inside / total < 0.97
    sharpened = metrics.reliability_curve(*made(0, 4000, sharpen=3.0), level=0.9, probabilities=True)
    outside = (sharpened.frequency < sharpened.null_lower) | (sharpened.null_upper < sharpened.frequency)
    assert outside.mean() > 0.6


def test_misuse_is_refused() -> None:
    p, labels = made(2)
    with pytest.raises(InvalidInputError, match="class_index must be a whole number, 0 to 3; got 4"):
        metrics.reliability_curve(p, labels, class_index=4, probabilities=True)
    with pytest.raises(InvalidInputError, match="level must lie between 0 and 1, got 1"):
        metrics.reliability_curve(p, labels, level=1, probabilities=True)
