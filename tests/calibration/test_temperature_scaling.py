import warnings

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from softmaxlib.calibration import TemperatureScaling
from softmaxlib.errors import SoftmaxlibWarning

from .test_laws import log_loss, sample


def mean_loss(logits, labels, temperature, weights=None):
    rows = log_softmax(np.asarray(logits) / temperature, axis=1)[np.arange(len(labels)), labels]
    return -np.average(rows, weights=weights)


@pytest.mark.parametrize("true", [0.01, 0.5, 1.0, 3.0, 100.0])
def test_recovers_the_temperature_that_made_the_labels(true):
    generator = np.random.default_rng(0)
    logits = true * 3 * generator.standard_normal((20_000, 5))
    labels = (logits / true + generator.gumbel(size=logits.shape)).argmax(axis=1)
    fitted = TemperatureScaling().fit(logits, labels).temperature_
    assert fitted == pytest.approx(true, rel=0.05)  # about four standard errors


@pytest.mark.parametrize(("rows", "classes"), [(30, 2), (500, 7), (20_000, 10)])
def test_agrees_with_a_general_minimiser(rows, classes):
    logits, labels = sample(rows, classes, temperature=1.5)
    weights = np.random.default_rng(5).exponential(size=rows)
    fitted = TemperatureScaling().fit(logits, labels, sample_weight=weights).temperature_
    best = minimize_scalar(
        lambda u: mean_loss(logits, labels, np.exp(u), weights), bracket=(-2, 0, 4), options={"xtol": 1e-10}
    )
    assert fitted == pytest.approx(np.exp(best.x), rel=1e-6)  # minima are flat


def test_the_slope_is_zero_to_fifty_digits():
    logits, labels = sample(60, 3)
    inverse = 1 / mpmath.mpf(TemperatureScaling().fit(logits, labels).temperature_)
    with mpmath.workdps(50):

        def slope(inverse):
            total = mpmath.mpf(0)
            for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
                weight = [mpmath.exp(inverse * value) for value in row]
                total += sum(w * v for w, v in zip(weight, row, strict=True)) / sum(weight) - row[label]
            return total

        root = mpmath.findroot(slope, inverse)
        assert abs(root / inverse - 1) < 1e-8


@pytest.mark.parametrize("factor", [1e-200, 1e-3, 7.0, 1e200])
def test_scales_with_the_logits(factor):
    logits, labels = sample(400, 3)
    plain = TemperatureScaling().fit(logits, labels).temperature_
    scaled = TemperatureScaling().fit(logits * factor, labels).temperature_
    assert scaled == pytest.approx(plain * factor, rel=1e-8)


def test_an_offset_of_each_row_changes_nothing():
    logits, labels = sample(400, 3)
    offset = np.random.default_rng(0).integers(-100, 100, (400, 1))
    plain = TemperatureScaling().fit(logits, labels).temperature_
    assert TemperatureScaling().fit(logits + offset, labels).temperature_ == pytest.approx(plain, rel=1e-8)


def test_float32_gives_the_answer_of_the_same_numbers_in_float64():
    logits, labels = sample(1000, 20)
    logits = logits.astype(np.float32)
    single = TemperatureScaling().fit(logits, labels).temperature_
    assert single == pytest.approx(
        TemperatureScaling().fit(logits.astype(float), labels).temperature_, rel=1e-6
    )


def test_transform_divides():
    logits, labels = sample(100, 3)
    fitted = TemperatureScaling().fit(logits, labels)
    np.testing.assert_array_equal(fitted.transform(logits), logits / fitted.temperature_)


@pytest.mark.parametrize("seed", range(20))
def test_never_worse_than_the_identity(seed):
    logits, labels = sample(8, 3, temperature=0.5 + seed, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)  # eight rows are often separable
        fitted = TemperatureScaling().fit(logits, labels)
    assert log_loss(fitted, logits, labels) <= mean_loss(logits, labels, 1.0) + 1e-12


def test_separable_rows_follow_the_rule_of_succession():
    logits = np.random.default_rng(0).standard_normal((98, 4)) / 10
    labels = logits.argmax(axis=1)
    with pytest.warns(SoftmaxlibWarning, match="every label has the largest logit.* Fit on more rows"):
        fitted = TemperatureScaling().fit(logits, labels)
    assert 0 < fitted.temperature_ < 1
    assert log_loss(fitted, logits, labels) == pytest.approx(np.log(100 / 99), rel=1e-6)


def test_separable_and_already_confident_stays():
    with pytest.warns(SoftmaxlibWarning, match=r"temperature_ is 1 by convention"):
        fitted = TemperatureScaling().fit([[9.0, 0.0], [0.0, 9.0]], [0, 1])
    assert fitted.temperature_ == 1


def test_all_wrong_becomes_uniform():
    with pytest.warns(SoftmaxlibWarning, match="labels' logits are on average no larger"):
        fitted = TemperatureScaling().fit([[2.0, 0.0], [0.0, 2.0]], [1, 0])
    np.testing.assert_allclose(fitted.predict_proba([[2.0, 0.0]]), 0.5, atol=1e-6)


def test_equal_logits_leave_the_temperature_at_one():
    with pytest.warns(SoftmaxlibWarning, match="every row holds one number only"):
        assert TemperatureScaling().fit([[3.0, 3.0], [1.0, 1.0]], [1, 0]).temperature_ == 1


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        ([[1.7e308, -1.7e308], [-1.7e308, 1.7e308], [0, 1]], [0, 0, 1]),
        ([[1e-320, 0], [0, 1e-320], [1e-320, 0]], [0, 1, 1]),
        ([[1e300, 0], [0, 1.0], [1, 0]], [0, 1, 1]),
        ([[0, 1.0], [0, 1e300], [1, 0]], [0, 1, 1]),
        ([[0, 0, 5e-324], [0, 1, 0]], [2, 0]),
    ],
)
def test_no_finite_input_is_too_wild(logits, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)
        fitted = TemperatureScaling().fit(logits, labels)
    assert 1e-300 <= fitted.temperature_ <= 1e300
    assert np.isfinite(fitted.transform(logits)).all()
    assert np.isfinite(fitted.transform(np.multiply.outer([1e-300, 1.7e308], np.sign(logits[0])))).all()


def test_the_real_network_becomes_calibrated(real_predictions):
    logits, labels = real_predictions("wideresnet_cifar10")
    order = np.random.default_rng(0).permutation(len(labels))
    fit, judge = order[:5000], order[5000:]
    fitted = TemperatureScaling().fit(logits[fit], labels[fit])
    assert fitted.temperature_ == pytest.approx(2.06, abs=0.05)
    probabilities = fitted.predict_proba(logits[judge])

    def calibration_error(probabilities):
        confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels[judge]
        bins = np.minimum((confidence * 15).astype(int), 14)
        return sum(abs((right[bins == b] - confidence[bins == b]).sum()) for b in range(15)) / len(right)

    assert calibration_error(np.exp(log_softmax(logits[judge], axis=1))) > 0.045
    assert calibration_error(probabilities) < 0.010


@pytest.mark.parametrize("size", [1e281, 1e299, 1.7e308])
def test_huge_logits_are_fitted_in_finite_time(size):
    logits = np.tile([[size, -size], [-size, size]], (20, 1))
    labels = np.tile([0, 1], 20)
    with pytest.warns(SoftmaxlibWarning, match="every label has the largest logit"):
        assert TemperatureScaling().fit(logits, labels).temperature_ == 1
    labels[0] = 1  # one of 40 wrong: the odds are 39 where the range of temperatures allows
    temperature = TemperatureScaling().fit(logits, labels).temperature_
    assert temperature == pytest.approx(min(2 * size / np.log(39), 1e300), rel=1e-6)
