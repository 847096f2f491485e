"""Beta calibration against a general minimiser, and betacal 1.1.0, whose figures stand here as data."""

import numpy as np
import pytest
from scipy.optimize import minimize

from softmaxlib.calibration import BetaCalibration


def skewed():
    """A binary model that is too sure of the second class, and of it alone."""
    generator = np.random.default_rng(0)
    truth = 2 * generator.standard_normal(1000)
    labels = (generator.random(1000) < 1 / (1 + np.exp(-truth))).astype(int)
    return np.stack([np.zeros(1000), np.where(truth > 0, 3 * truth, truth) + 0.5], axis=1), labels


def test_minimises_the_log_loss():
    logits, labels = skewed()
    positive, negative = np.log1p(np.exp(-logits[:, 1])), np.log1p(np.exp(logits[:, 1]))

    def loss(free):
        odds = -free[0] * positive + free[1] * negative + free[2]
        return np.logaddexp(0, np.where(labels == 1, -odds, odds)).sum()

    best = minimize(loss, [1, 1, 0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    fitted = BetaCalibration().fit(logits, labels)
    assert loss(fitted.coefficients_[1]) <= best.fun + 1e-9
    np.testing.assert_allclose(fitted.coefficients_[1], best.x, atol=1e-5)
    np.testing.assert_allclose(fitted.coefficients_[0], best.x[[1, 0, 2]] * [1, 1, -1], atol=1e-5)


def test_is_that_of_betacal():
    """The peer's search stops at 1e-5 of the minimum."""
    scores = np.array([0.001, 0.05, 0.3, 0.5, 0.7, 0.95, 0.999])
    logits = np.stack([np.zeros(7), np.log(scores / (1 - scores))], axis=1)
    expected = [0.00143159, 0.05545136, 0.25874826, 0.38427654, 0.49892693, 0.69154774, 0.88046185]
    found = BetaCalibration().fit(*skewed()).predict_proba(logits)[:, 1]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_probabilities_never_fall_where_scores_rise():
    logits, labels = skewed()
    fitted = BetaCalibration().fit(-logits, labels)  # all that could be learned is a falling curve
    assert (fitted.coefficients_[:, :2] >= 0).all()
    share = labels.mean()
    assert fitted.predict_proba(-logits)[:, 1] == pytest.approx(np.full(1000, share), abs=1e-6)
