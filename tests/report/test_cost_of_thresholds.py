"""The cost of every threshold of two classes, in an evaluation and on its page."""

import numpy as np
import pytest

from softmaxlib import Policy, evaluate
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost, MostLikely, TunedThreshold
from softmaxlib.report.sliders import decision_sliders

COST = np.array([[0.5, 1.5], [21.0, 1.0]])
NAMES = ["fine", "fraud"]
rng = np.random.default_rng(7)
LOGITS = np.stack([np.zeros(3000), rng.normal(-3, 2, 3000)], axis=1)
LABELS = (rng.random(3000) < 1 / (1 + np.exp(-LOGITS[:, 1]))).astype(int)
WEIGHTS = rng.integers(0, 3, 3000).astype(float)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
@pytest.mark.parametrize("rule", [MinimumCost(COST), TunedThreshold(cost=COST)], ids=["known", "tuned"])
def test_costs_of_a_rule_lie_on_the_curve_of_all_thresholds(rule, weights) -> None:
    policy = Policy(Identity(), rule).fit(LOGITS, LABELS, class_names=NAMES)
    evaluation = evaluate(LOGITS, LABELS, policy=policy, sample_weight=weights)
    decided = evaluation.decided
    assert decided is not None
    assert decided.cost_threshold_curve is not None
    curve, threshold = decided.cost_threshold_curve, decided.threshold
    assert len(curve.cost) == len(curve.threshold) <= 600
    positive = policy.predict_proba(LOGITS)[:, 1]

    def mean_cost(of) -> float:
        return float(np.average(COST[LABELS, (positive >= of).astype(int)], weights=weights))

    for cost, one in zip(curve.cost[::20], curve.threshold[::20], strict=True):
        assert cost == pytest.approx(mean_cost(one), rel=1e-12)
    assert curve.cost.min() == pytest.approx(min(map(mean_cost, positive)), rel=1e-12)
    assert decided.mean_cost == pytest.approx(mean_cost(threshold), rel=1e-12)
    if isinstance(rule, MinimumCost):
        assert threshold == pytest.approx(1 / 21)
    (slider,) = [one for one in decision_sliders(evaluation) if "cost-threshold" in one.points]
    for percent, cost in slider.points["cost-threshold"]:  # where the slider's mark is, at each stop
        assert cost == pytest.approx(mean_cost(percent / 100), rel=1e-12)


def test_the_page_shows_the_curve_and_the_threshold(tmp_path) -> None:
    policy = Policy(Identity(), MinimumCost(COST)).fit(LOGITS, LABELS, class_names=NAMES)
    evaluate(LOGITS, LABELS, policy=policy).to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "Cost against the threshold" in page
    assert "if fraud is predicted from this" in page


@pytest.mark.parametrize(
    "rule",
    [
        MostLikely(),
        MinimumCost(COST, abstain_cost=1.0),
        MinimumCost(COST, action_names=["wait", "call"]),
        MinimumCost([[0, 1], [0, 2]]),
    ],
)
def test_a_rule_that_is_no_threshold_has_no_such_curve(rule) -> None:
    decided = evaluate(LOGITS, LABELS, policy=Policy(Identity(), rule).fit(LOGITS, LABELS)).decided
    assert decided is not None
    assert decided.cost_threshold_curve is None
    assert decided.threshold is None


def test_rows_of_one_class_have_no_such_curve() -> None:
    policy = Policy(Identity(), MinimumCost(COST)).fit(LOGITS, LABELS)
    decided = evaluate(LOGITS[LABELS == 0], LABELS[LABELS == 0], policy=policy).decided
    assert decided is not None
    assert decided.cost_threshold_curve is None
