import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from softmaxlib import metrics
from softmaxlib.activations import softmax

from .made import made


def recalibrated(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    columns = [
        IsotonicRegression(y_min=0, y_max=1).fit_transform(p[:, k], labels == k) for k in range(p.shape[1])
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
def test_refinement_is_the_score_after_scikit_learns_isotonic_regression(sharpen: float) -> None:
    p, labels = made(0, 800, sharpen=sharpen)
    percent = np.floor(100 * p)
    percent[np.arange(800), p.argmax(axis=1)] += 100 - percent.sum(axis=1)
    p = percent / 100
    outcomes = np.eye(4)[labels]
    split = metrics.brier_decomposition(p, labels, probabilities=True)
    expected = ((recalibrated(p, labels) - outcomes) ** 2).sum(axis=1).mean()
    assert split.refinement == pytest.approx(expected, rel=1e-9)
    frequencies = outcomes.mean(axis=0)
    assert split.uncertainty == pytest.approx((frequencies * (1 - frequencies)).sum(), rel=1e-12)


@pytest.mark.parametrize("name", ["generated", "wideresnet_cifar10"])
def test_the_parts_make_the_whole(real_predictions, name: str) -> None:
    logits, labels = real_predictions(name)
    split = metrics.brier_decomposition(logits, labels)
    assert split.score == metrics.brier_score(logits, labels)
    assert split.calibration + split.refinement == pytest.approx(split.score, rel=1e-12)
    assert split.uncertainty - split.resolution == pytest.approx(split.refinement, rel=1e-12)
    cooler = metrics.brier_decomposition(logits / 2.06, labels)
    assert cooler.calibration < 0.6 * split.calibration
    assert cooler.refinement == pytest.approx(split.refinement, rel=0.05)


def test_what_is_recalibrated_already_leaves_nothing_to_mend() -> None:
    p, labels = made(1, 2000, classes=2, sharpen=2.0)
    again = metrics.brier_decomposition(recalibrated(p, labels), labels, probabilities=True)
    assert again.calibration == pytest.approx(0, abs=1e-12)
    constant = np.tile(np.bincount(labels) / labels.size, (labels.size, 1))
    split = metrics.brier_decomposition(constant, labels, probabilities=True)
    assert split.resolution == pytest.approx(0, abs=1e-12)
    assert split.calibration == pytest.approx(0, abs=1e-12)


def test_a_weight_of_two_is_the_row_twice() -> None:
    generator = np.random.default_rng(2)
    logits, labels = generator.normal(size=(300, 3)).round(1), generator.integers(0, 3, 300)
    counts = generator.integers(0, 4, 300)
    repeated = metrics.brier_decomposition(np.repeat(logits, counts, axis=0), np.repeat(labels, counts))
    weighted = metrics.brier_decomposition(logits, labels, sample_weight=counts)
    assert weighted == pytest.approx(repeated, rel=1e-10)


def test_calibrated_probabilities_need_little_mending() -> None:
    p, labels = made(3, 20_000)
    honest = metrics.brier_decomposition(p, labels, probabilities=True)
    boasting = metrics.brier_decomposition(softmax(3 * np.log(p)), labels, probabilities=True)
    assert honest.calibration < 0.005
    assert boasting.calibration > 0.05
