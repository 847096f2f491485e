"""An audit of weighted rows keeps its level; `benchmarks/audit_alarms.py --weights` measures more."""

import numpy as np
import pytest

from softmaxlib import Policy, softmax
from softmaxlib.calibration import Identity
from softmaxlib.decisions import Threshold
from softmaxlib.metrics.predictions import Predictions
from softmaxlib.policy._loss_change import loss_change
from softmaxlib.policy.figures import Figures, Reliability

WEIGHTS = {  # with the broken promises of 200 audits before, of about 10 that are allowed
    "log-normal": lambda rng, rows: rng.lognormal(0, 1.5, rows),  # 66
    "heavy tail": lambda rng, rows: 1 + rng.pareto(0.8, rows),  # 137
    "10 % weigh 50": lambda rng, rows: np.where(rng.random(rows) < 0.1, 50.0, 1.0),  # 152
}


def draw(rng, rows):
    """Return logits that are exactly right, and labels."""
    logits = 2 * rng.normal(size=(rows, 3))
    return logits, (softmax(logits).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1).clip(0, 2)


@pytest.fixture(params=WEIGHTS)
def weigh(request):
    return WEIGHTS[request.param]


def test_an_unchanged_model_is_rejected_no_more_often_than_stated(weigh):
    rng = np.random.default_rng(0)
    policy = Policy(Identity(), Threshold(0.7)).fit(*draw(rng, 20_000))
    alarms = 0
    small = dict.fromkeys(("calibration", "log loss", "share set aside"), 0)
    for _ in range(200):
        logits, labels = draw(rng, 200)
        audit = policy.audit(logits, labels, sample_weight=weigh(rng, 200))
        alarms += not audit.holds
        for check in audit.checks:
            small[check.promise] += check.testable and check.p_value <= 0.05
    assert alarms <= 18  # 99 % of the binomial law
    assert max(small.values()) <= 18, small


def test_a_change_is_found():
    rng = np.random.default_rng(1)
    policy = Policy(Identity(), Threshold(0.7)).fit(*draw(rng, 20_000))
    logits, labels = draw(rng, 5000)
    weights = rng.lognormal(0, 1, 5000)
    audit = policy.audit(2 * logits, labels, sample_weight=weights)
    assert [check.promise for check in audit.checks if not check.holds][:2] == ["calibration", "log loss"]


def test_the_rows_of_a_bin_count_no_more_than_kish_says(weigh):
    rng = np.random.default_rng(2)
    logits, labels = draw(rng, 2000)
    weights = weigh(rng, 2000)
    rows = Predictions.of_logits(logits, labels, weights)
    found = Reliability.of(rows, np.array([0.5, 0.6, 0.7, 0.8, 0.9]))
    index = np.searchsorted(found.edges, rows.figure("confidence"), side="right")
    total, squares = (np.bincount(index, one, 6) for one in (weights, weights**2))
    assert (found.counts >= 1).all()
    assert (found.counts <= total**2 / squares + 1e-9).all()


def test_heavy_rows_of_one_loss_do_not_prove_a_rise():
    """Their own spread is 0 but for the light rows; that of the fit shows how little two rows say."""
    then = Figures(10_000, 0.8, 0.6, 0.008, 0.3, 0.01)
    now = Figures(200, 0.8, 1.0, 0.001, 0.3, 0.01)
    assert loss_change(then, None, now, None, 1000, (10_000, 2.0))[0] == pytest.approx(0.24, abs=0.01)
    assert loss_change(then, None, now, None, 1000)[0] < 1e-4
