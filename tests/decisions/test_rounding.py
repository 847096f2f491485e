"""A row beside a threshold is decided the same in float32 and in float64."""

import numpy as np
import pytest

from softmaxlib import Policy, softmax
from softmaxlib.calibration import HistogramBinning, Identity, TemperatureScaling
from softmaxlib.decisions import (
    BinaryThreshold,
    MinimumCost,
    PredictionSets,
    SelectiveRisk,
    Threshold,
    TunedThreshold,
)

TYPES = [np.float32, np.float64]


def made(seed, rows, classes=3):
    """Whole logits, so that many rows have the same probabilities."""
    generator = np.random.default_rng(seed)
    logits = np.round(2 * generator.normal(size=(rows, classes)))
    chances = softmax(0.6 * logits).cumsum(axis=1)
    return logits, (generator.random((rows, 1)) > chances).sum(axis=1).clip(0, classes - 1)


ROWS, LABELS = made(999, 5000)
SETS = [
    PredictionSets("lac"),
    PredictionSets("aps"),
    PredictionSets("aps", include_last=False),
    PredictionSets("aps", groups="class"),
    PredictionSets("raps", penalty_rank=1),
    PredictionSets("saps"),
]


@pytest.mark.parametrize("calibration", [Identity(), TemperatureScaling(), HistogramBinning()], ids=str)
@pytest.mark.parametrize("rule", SETS, ids=lambda rule: f"{rule.score}-{rule.include_last}-{rule.groups}")
def test_sets_are_the_same_in_both_types(rule, calibration):
    for seed in range(3):
        logits, labels = made(seed, 600)
        found = []
        for fitted_in in TYPES:
            policy = Policy(calibration, rule).fit(logits.astype(fitted_in), labels)
            found += [policy.decide(ROWS.astype(decided_in)).sets for decided_in in TYPES]
        for sets in found[1:]:
            np.testing.assert_array_equal(sets, found[0])


def test_coverage_holds_in_float64_after_a_fit_in_float32():
    rows, truth = made(7777, 100_000)
    covered = []
    for seed in range(30):
        logits, labels = made(seed, 500)
        policy = Policy(Identity(), PredictionSets("lac", 0.1)).fit(logits.astype(np.float32), labels)
        covered.append(policy.decide(rows).sets[np.arange(len(truth)), truth].mean())
    assert np.mean(covered) >= 0.9


def test_all_paths_know_the_same_threshold():
    """The compiled pass of policies, that of rules, and NumPy."""
    logits, labels = made(0, 600)
    for score in ("lac", "aps", "raps"):
        policy = Policy(Identity(), PredictionSets(score, penalty_rank=1)).fit(logits, labels)
        for dtype in TYPES:
            probabilities = softmax(ROWS.astype(dtype))
            sets = policy.decide(ROWS.astype(dtype)).sets
            np.testing.assert_array_equal(sets, policy.rule.decide(probabilities, probabilities=True).sets)
            np.testing.assert_array_equal(sets, policy.rule._decide(probabilities, None).sets)


@pytest.mark.parametrize("score", ["lac", "aps", "saps"])
def test_a_threshold_rises_by_rounding_alone(score):
    """Sure rows of float64 are told apart where float32 can't."""
    generator = np.random.default_rng(0)
    wrong = 10 ** generator.uniform(-13, -9, 400)
    probabilities, labels = np.stack([1 - wrong, wrong], axis=1), (np.arange(400) % 3 == 0).astype(int)
    rule = PredictionSets(score, 0.8, penalty=0.1).fit(probabilities, labels, probabilities=True)
    sets = rule.decide(probabilities, probabilities=True).sets
    assert 0.1 < sets.any(axis=1).mean() < (0.5 if score == "lac" else 1.1)
    logits, labels = 2 * generator.normal(size=(500, 4)), generator.integers(4, size=500)
    exact = np.sort(1 - softmax(logits)[np.arange(500), labels])[450]
    for dtype in TYPES:
        found = PredictionSets("lac").fit(logits.astype(dtype), labels).thresholds_[0]
        assert exact < found + 1e-7 < exact + 1e-6


def test_a_float32_number_of_one_is_no_more_than_its_float64():
    logits = np.stack([np.linspace(17, 30, 300), np.zeros(300)], axis=1)
    labels = np.zeros(300, int)
    sets = PredictionSets("lac").fit(logits.astype(np.float32), labels).decide(logits).sets
    assert sets[:, 0].all()
    rule = SelectiveRisk(0.05).fit(logits.astype(np.float32), labels)
    assert not rule.decide(logits).abstained.any()


STATED = [
    Threshold(0.9),
    Threshold([0.9, 0.9]),
    BinaryThreshold(0.9),
    MinimumCost(1 - np.eye(2), abstain_cost=0.1),
    MinimumCost([[-1, 0], [0, -1]], abstain_cost=-0.9),
    MinimumCost([[-1, 9], [9, -1]], abstain_cost=0),
]


@pytest.mark.parametrize("rule", STATED, ids=repr)
def test_a_number_that_is_stated_is_reached_in_both_types(rule):
    rows = [[0.9, 0.1], [0.1, 0.9], [0.3, 0.7]]
    single, double = (rule.decide(np.array(rows, dtype), probabilities=True) for dtype in TYPES)
    np.testing.assert_array_equal(single.action, double.action)
    assert double.action[:2].tolist() == [0, 1]
    below = [[0.899999, 0.100001], [0.100001, 0.899999]]
    single, double = (rule.decide(np.array(below, dtype), probabilities=True).action for dtype in TYPES)
    np.testing.assert_array_equal(single, double)
    assert double[1] != 1


@pytest.mark.parametrize("dtype", TYPES)
def test_each_class_has_its_own_threshold(dtype):
    rule = Threshold([0.9, 0.7])
    rows = np.array([[0.9, 0.1], [0.3, 0.7], [0.300001, 0.699999]], dtype)
    assert rule.decide(rows, probabilities=True).action.tolist() == [0, 1, -1]


def test_a_tiny_threshold_stays_above_0():
    assert Threshold(1e-60).decide([[1.0, 0.0], [0.5, 0.5]], probabilities=True).action.tolist() == [0, 0]


def test_a_cost_of_abstaining_that_is_never_worth_it_makes_no_ties():
    rows = np.array([[1 - 2e-6, 2e-6], [1 - 1.01e-6, 1.01e-6], [1 - 0.99e-6, 0.99e-6]])
    for abstain_cost in (None, 1e6, 1e30):
        rule = MinimumCost([[0, 1], [1e6, 0]], abstain_cost)
        assert rule.decide(rows, probabilities=True).action.tolist() == [1, 1, 0]


LEARNED = [
    SelectiveRisk(0.25),
    SelectiveRisk(0.3),
    TunedThreshold("accuracy"),
    TunedThreshold("f1_score"),
    TunedThreshold("recall", at_least=("precision", 0.65)),
]


@pytest.mark.parametrize("rule", LEARNED, ids=repr)
def test_a_learned_threshold_lies_between_no_ties(rule):
    for seed, steps in ((1, 8), (1, 10), (2, 8), (3, 2), (5, 8)):
        generator = np.random.default_rng(seed)
        logits = np.round(steps * generator.normal(size=(3000, 2))) / steps  # some on the grid of thresholds
        labels = (generator.random(3000) < softmax(logits)[:, 1]).astype(int)
        actions = []
        for fitted_in in TYPES:
            policy = Policy(Identity(), rule).fit(logits.astype(fitted_in), labels)
            actions += [policy.decide(logits.astype(decided_in)).action for decided_in in TYPES]
            actions.append(policy.decide(logits + 0.1).action)
        for action in actions[1:]:
            np.testing.assert_array_equal(action, actions[0])
