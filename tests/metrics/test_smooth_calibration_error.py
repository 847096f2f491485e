import numpy as np
import pytest
from scipy import integrate, optimize, stats

from softmaxlib import metrics
from softmaxlib.errors import InvalidInputError

from .made import made


def error_at(width: float, p: np.ndarray, y: np.ndarray) -> float:
    """The integral as printed: a Gaussian, its reflections in 0 and 1, and quadrature."""

    def smoothed(t: np.ndarray) -> np.ndarray:
        kernel = sum(
            stats.norm.pdf(t[:, None], sign * p + shift, width)
            for shift in range(-2, 3, 2)
            for sign in (1, -1)
        )
        return (kernel * (y - p)).mean(axis=1)

    grid = np.linspace(0, 1, 1001)
    return float(integrate.trapezoid(np.abs(smoothed(grid)), grid))


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 2.5])
def test_it_is_the_width_that_equals_its_own_error(sharpen: float) -> None:
    p, labels = made(0, 60, sharpen=sharpen)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == labels
    expected = optimize.brentq(lambda width: error_at(width, confidence, correct) - width, 0.01, 0.5)
    value = metrics.smooth_calibration_error(p, labels, probabilities=True)
    assert value == pytest.approx(expected, abs=1e-4)


def test_classwise_is_the_mean_over_the_classes() -> None:
    p, labels = made(1, 100, sharpen=2.0)
    value = metrics.smooth_calibration_error(p, labels, scope="classwise", probabilities=True)
    ones = [
        optimize.brentq(lambda w, k=k: error_at(w, p[:, k], labels == k) - w, 0.01, 0.5) for k in range(4)
    ]
    assert value == pytest.approx(np.mean(ones), abs=1e-4)


def test_a_hair_makes_no_jump_where_bins_have_an_edge() -> None:
    labels = [0] * 50 + [1] * 50
    sides = [np.tile([0.6 + hair, 0.4 - hair], (100, 1)) for hair in (-1e-6, 1e-6)]
    p = [np.concatenate([side[:50], np.tile([0.59, 0.41], (50, 1))]) for side in sides]
    binned = [metrics.calibration_error(one, labels, n_bins=5, probabilities=True) for one in p]
    smooth = [metrics.smooth_calibration_error(one, labels, probabilities=True) for one in p]
    assert abs(binned[0] - binned[1]) > 0.3
    assert abs(smooth[0] - smooth[1]) < 2e-4


def test_weights_count_rows() -> None:
    p, labels = made(2, 300)
    counts = np.random.default_rng(2).integers(0, 4, 300)
    repeated = metrics.smooth_calibration_error(
        np.repeat(p, counts, axis=0), np.repeat(labels, counts), probabilities=True
    )
    weighted = metrics.smooth_calibration_error(p, labels, sample_weight=counts, probabilities=True)
    assert weighted == pytest.approx(repeated, abs=1e-9)


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="scope must be one of top_label, classwise; got 'row'"):
        metrics.smooth_calibration_error(*made(3), scope="row", probabilities=True)
