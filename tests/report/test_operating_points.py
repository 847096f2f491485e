"""Decisions at other thresholds, compared with counts row by row."""

import numpy as np
import pytest
from evaluated_rows import simulated
from scipy import stats

from softmaxlib import Policy, evaluate, softmax
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost, Threshold

COSTS = np.array([[0.0, 1.0, 4.0], [2.0, 0.0, 1.0], [3.0, 1.0, 0.0]])


@pytest.fixture(params=["rows", "weighted rows"])
def rows(request):
    logits, labels = simulated(400, 3)
    weights = None if request.param == "rows" else np.random.default_rng(1).integers(0, 4, 400)
    return logits, labels, weights


def test_at_confidence(rows):
    logits, labels, weights = rows
    weight = np.ones(400) if weights is None else weights
    found = evaluate(logits, labels, sample_weight=weights).final.at_confidence
    probabilities = softmax(logits)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    assert found.threshold[0] == 0
    assert {0.5, 0.95, 0.99} <= set(found.threshold.tolist())
    for point, threshold in enumerate(found.threshold):
        decided = confidence >= threshold
        assert found.coverage[point] == pytest.approx((weight * decided).sum() / weight.sum())
        accuracy = np.average(right[decided], weights=weight[decided])
        assert found.accuracy.value[point] == pytest.approx(accuracy)
        if weights is None:
            exact = stats.binomtest(int(right[decided].sum()), int(decided.sum())).proportion_ci(
                0.95, "exact"
            )
            assert found.accuracy.lower[point] == pytest.approx(exact.low, abs=1e-12)
            assert found.accuracy.upper[point] == pytest.approx(exact.high, abs=1e-12)


def test_a_threshold_of_a_policy_is_a_point(rows):
    logits, labels, weights = rows
    policy = Policy(Identity(), Threshold(0.8)).fit(logits, labels)
    evaluation = evaluate(logits, labels, policy=policy, sample_weight=weights)
    points, decided = evaluation.final.at_confidence, evaluation.decided
    (point,) = np.flatnonzero(points.threshold == 0.8)
    assert points.coverage[point] == pytest.approx(decided.coverage)
    assert points.accuracy.value[point] == pytest.approx(decided.accuracy)
    assert [float(end[point]) for end in points.accuracy[1:]] == pytest.approx(decided.accuracy_interval)


def test_at_threshold(rows):
    logits, labels, weights = rows[0][:, :2], np.minimum(rows[1], 1), rows[2]
    weight = np.ones(400) if weights is None else weights
    found = evaluate(logits, labels, sample_weight=weights).final.at_threshold
    probability = softmax(logits)[:, 1]
    for point, threshold in enumerate(found.threshold):
        taken = probability >= threshold
        assert found.taken[point] == pytest.approx(np.average(taken, weights=weight))
        assert found.recall.value[point] == pytest.approx(
            np.average(taken[labels == 1], weights=weight[labels == 1])
        )
        assert found.false_positive_rate.value[point] == pytest.approx(
            np.average(taken[labels == 0], weights=weight[labels == 0])
        )
        if weight[taken].sum():
            precision = np.average(labels[taken] == 1, weights=weight[taken])
            assert found.precision.value[point] == pytest.approx(precision)
        else:
            assert np.isnan(found.precision.value[point])


def test_more_classes_have_no_threshold():
    assert evaluate(*simulated(100)).final.at_threshold is None


def redrawn_means(paid, weight):
    """Means by the Bayesian bootstrap, with half a row of the least and half a row of the largest cost."""
    generator = np.random.default_rng(0)
    share = weight * generator.standard_exponential((4000, paid.size))
    half_rows = (weight**2).sum() / weight.sum() * generator.standard_gamma(0.5, size=(4000, 2))
    total = share.sum(axis=1) + half_rows.sum(axis=1)
    return (share @ paid + half_rows @ [COSTS.min(), COSTS.max()]) / total


def test_at_cost(rows):
    logits, labels, weights = rows
    weight = np.ones(400) if weights is None else weights
    policy = Policy(Identity(), MinimumCost(COSTS, abstain_cost=0.4)).fit(logits, labels)
    decided = evaluate(logits, labels, policy=policy, sample_weight=weights).decided
    found = decided.at_cost
    expected = softmax(logits) @ COSTS
    action, least = expected.argmin(axis=1), expected.min(axis=1)
    for point, threshold in enumerate(found.threshold):
        kept = least <= threshold + 1e-11
        paid = np.where(kept, COSTS[labels, action], 0.4)
        mean = np.average(paid, weights=weight)
        assert found.coverage[point] == pytest.approx(np.average(kept, weights=weight))
        assert found.cost.value[point] == pytest.approx(mean)
        assert found.cost.lower[point] < mean < found.cost.upper[point]
        if kept.mean() > 0.5:  # if nearly all rows cost the same, the beta law is a rougher one
            interval = np.quantile(redrawn_means(paid, weight), [0.025, 0.975])
            near = pytest.approx(interval, abs=0.1 * np.ptp(interval))
            assert (found.cost.lower[point], found.cost.upper[point]) == near
    (point,) = np.flatnonzero(found.threshold == 0.4)
    assert found.coverage[point] == pytest.approx(decided.coverage)
    assert found.cost.value[point] == pytest.approx(decided.mean_cost)
    assert found.accuracy.value[point] == pytest.approx(decided.accuracy)
    assert [float(end[point]) for end in found.cost[1:]] == pytest.approx(decided.cost_interval)


def test_few_rows_have_no_interval_of_a_cost():
    logits, labels = simulated(20, 3)
    policy = Policy(Identity(), MinimumCost(COSTS)).fit(logits, labels)
    evaluation = evaluate(logits, labels, policy=policy)
    assert np.isnan(evaluation.decided.cost_interval).all()
    assert evaluation.decided.at_cost is None
    assert "on average, where" in " ".join(evaluation.verdict.sentences)
