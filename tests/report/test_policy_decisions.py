"""The report shows the decisions of the policy beside the most likely class, and says which is which."""

import numpy as np
import pytest
from evaluated_rows import Page, simulated, written

from softmaxlib import Policy, evaluate
from softmaxlib.calibration import Identity
from softmaxlib.decisions import (
    BinaryThreshold,
    MinimumCost,
    MostLikely,
    PredictionSets,
    Threshold,
    TunedThreshold,
)
from softmaxlib.report.confusions import DecisionsByClass
from softmaxlib.report.sliders import decision_sliders
from softmaxlib.report.tables import decided_classes

FRAUD = MinimumCost.binary(false_positive=1, false_negative=50)
OWN = MinimumCost([[0, 0.2, 1], [5, 0.5, 0]], action_names=["wait", "test", "treat"])


def payments(rows=4000, seed=0):
    """One in fifty is a fraud."""
    rng = np.random.default_rng(seed)
    score = rng.normal(-5, 2, rows)
    return score, (rng.random(rows) < 1 / (1 + np.exp(-score))).astype(int)


def judged(rule, classes=2, weights=None):
    rows = payments() if classes == 2 else simulated(900, classes)
    policy = Policy(Identity(), rule).fit(
        *(payments(seed=1) if classes == 2 else simulated(900, classes, seed=1))
    )
    return evaluate(*rows, policy=policy, sample_weight=weights), policy.decide(rows[0]), rows[1]


@pytest.mark.parametrize(
    ("rule", "classes"),
    [
        (FRAUD, 2),
        (OWN, 2),
        (BinaryThreshold(0.2), 2),
        (MinimumCost([[0, 1], [50, 0]], abstain_cost=0.4), 2),
        (Threshold(0.8), 4),
        (PredictionSets("aps", alpha=0.1), 4),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_decisions_are_counted_by_class(rule, classes, weighted):
    rows = 4000 if classes == 2 else 900
    weights = np.random.default_rng(2).integers(0, 3, rows).astype(float) if weighted else None
    evaluation, decision, labels = judged(rule, classes, weights)
    names = evaluation.decided.action_names(evaluation.class_names)
    matrix = evaluation.decided.by_class.matrix(classes, len(names))
    assert matrix.shape[1] == len(names) + decision.abstained.any()
    each = np.ones(rows) if weights is None else weights
    for truth in range(classes):
        for column in range(matrix.shape[1]):
            action = -1 if column == len(names) else column
            assert matrix[truth, column] == each[(labels == truth) & (decision.action == action)].sum()
    assert evaluation.decides_otherwise


def test_a_policy_by_the_most_likely_class_has_one_matrix(tmp_path):
    evaluation, _, _ = judged(MostLikely())
    assert not evaluation.decides_otherwise
    assert evaluation.decided.by_class.equals(evaluation.confusions)
    text = Page(written(evaluation, tmp_path)).text
    assert "Decisions of the policy" not in text
    assert "(most likely class)" not in text


def test_the_page_says_whose_decisions_it_counts(tmp_path):
    evaluation, decision, labels = judged(FRAUD)
    page = written(evaluation, tmp_path)
    text = Page(page).text
    for words in (
        "Decisions of the policy",
        "Confusion matrix of the most likely class",
        "Recognised (most likely class)",
        "Right when named (most likely class)",
        "Most frequent mistakes of the most likely class",
        "of the most likely class; larger is better",
        "What if fewer rows were decided, each by its most likely class?",
        "The policy decides otherwise: its own decisions are counted in Key figures.",
    ):
        assert words in text
    found = (decision.action[labels == 1] == 1).mean()
    assert decided_classes(evaluation)["1"] == pytest.approx((found, labels[decision.action == 1].mean()))
    assert f"{found:.1%}" in text[text.index("Found by the policy") :]
    count = int((decision.action[labels == 1] == 1).sum())
    assert f"1 decided as 1: {count} rows, {found:.1%} of 1" in page


def test_actions_of_a_rule_are_columns_and_not_mistakes(tmp_path):
    evaluation, decision, labels = judged(OWN)
    assert decided_classes(evaluation) == {}
    text = Page(written(evaluation, tmp_path)).text
    assert "none is right or wrong by itself" in text
    assert f"1 decided as treat: {(decision.action[labels == 1] == 2).sum()} rows" in text
    assert "Found by the policy" not in text


def test_rows_set_aside_are_a_column(tmp_path):
    evaluation, decision, labels = judged(Threshold(0.8), 4)
    text = Page(written(evaluation, tmp_path)).text
    assert f"0 set aside: {(decision.abstained & (labels == 0)).sum()} rows" in text


def test_the_slider_of_the_probability_has_the_cost_of_each_stop():
    evaluation, _, labels = judged(FRAUD)
    (slider,) = [one for one in decision_sliders(evaluation) if one.name == "by-probability"]
    assert slider.columns[-1] == "Cost of a row"
    score, _ = payments()
    probability = 1 / (1 + np.exp(-score))
    for stop, threshold in zip(slider.stops, evaluation.final.at_threshold.threshold, strict=True):
        taken = probability >= threshold
        cost = np.where(labels == 1, 50 * ~taken, taken).mean()
        assert float(stop.figures[-1]) == pytest.approx(cost, rel=1e-3)
    assert float(slider.stops[slider.start].figures[-1]) == pytest.approx(
        evaluation.decided.mean_cost, rel=1e-3
    )
    (other,) = [
        one for one in decision_sliders(judged(BinaryThreshold(0.2))[0]) if one.name == "by-probability"
    ]
    assert "Cost of a row" not in other.columns


@pytest.mark.parametrize(
    ("rule", "own"),
    [(BinaryThreshold(0.0), 0.0), (BinaryThreshold(0.2), 0.2), (TunedThreshold("f1_score"), None)],
)
def test_the_slider_of_the_probability_begins_at_the_threshold_of_the_policy(rule, own):
    evaluation = judged(rule)[0]
    (slider,) = [one for one in decision_sliders(evaluation) if one.name == "by-probability"]
    assert slider.has_own
    wanted = evaluation.decided.threshold if own is None else own
    assert evaluation.final.at_threshold.threshold[slider.start] == pytest.approx(wanted, abs=1e-12)


def test_cells_of_many_classes_are_those_of_few():
    """More cells than rows are found by sorting."""
    rng = np.random.default_rng(0)
    truth, action = rng.integers(5, size=60), rng.integers(-1, 3, size=60)
    few = DecisionsByClass.of(truth, action, None, 5, 3)
    many = DecisionsByClass.of(truth, action, np.ones(60), 50, 3)
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other)
    assert few.matrix(5, 3).sum() == 60
