import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from softmaxlib.decisions import (
    Decision,
    MinimumCost,
    MostLikely,
    PredictionSets,
    Rule,
    SelectiveRisk,
    Threshold,
    TopK,
    TunedThreshold,
)
from softmaxlib.decisions.outcomes import Outcomes
from softmaxlib.errors import FileFormatError, InvalidInputError

from .made import made

PROBABILITIES = np.random.default_rng(0).dirichlet(np.full(4, 0.1), 500)
LABELS = PROBABILITIES.argmax(axis=1)
RULES = [
    MostLikely(),
    TopK(2),
    MinimumCost(1 - np.eye(4), 0.2),
    Threshold([0.5, 0.6, 0.7, 0.8]),
    SelectiveRisk(0.05),
    PredictionSets("aps", 0.1, randomized=True),
    PredictionSets("lac", 0.1, groups=[0, 0, 1, 1]),
]
DAMAGE = [None, True, -1, 0, 1.5, 10**400, float("nan"), "", "x" * 10_000, [], {}, [[[]]], {"dtype": "<f8"}]


@pytest.fixture(params=RULES, ids=repr)
def rule(request: pytest.FixtureRequest) -> Rule:
    return request.param.fit(PROBABILITIES, LABELS, probabilities=True)


def damaged(state: Any) -> Iterator[Any]:
    """The state with each of its parts replaced or left out, however deep."""
    yield from DAMAGE
    if isinstance(state, dict):
        for name in state:
            yield {key: value for key, value in state.items() if key != name}
            for part in damaged(state[name]):
                yield {**state, name: part}


def test_every_rule_gives_the_same_kind_of_decision(rule: Rule) -> None:
    decision = rule.decide(PROBABILITIES, probabilities=True)
    assert isinstance(decision, Decision)
    assert decision.action.shape == decision.confidence.shape == decision.abstained.shape == (500,)
    assert (decision.action.dtype, decision.abstained.dtype) == (np.int64, np.bool_)
    np.testing.assert_array_equal(decision.confidence, PROBABILITIES.max(axis=1))
    np.testing.assert_array_equal(decision.abstained, decision.action == -1)
    assert (decision.expected_cost is not None) == isinstance(rule, MinimumCost)
    assert (decision.sets is not None) == isinstance(rule, (TopK, PredictionSets))


def test_blocks_of_rows_decide_as_one(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rule.decide(PROBABILITIES, probabilities=True)
    monkeypatch.setattr("softmaxlib.decisions._row_blocks._BLOCK_ELEMENTS", 30)
    for one, other in zip(whole, rule.decide(PROBABILITIES, probabilities=True), strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-15)


def test_a_damaged_file_never_ends_in_another_error(rule: Rule) -> None:
    state = json.loads(json.dumps(rule.to_dict(), allow_nan=False))
    assert Rule.from_dict(state).to_dict() == state
    refused = 0
    for other in damaged(state):
        try:
            Rule.from_dict(other)
        except FileFormatError:
            refused += 1
    assert refused > 20


def test_what_is_no_probability_is_refused(rule: Rule) -> None:
    for wrong, message in (
        ([[0.5, 0.5, 0.5, 0.5]], "each row of probabilities must sum to 1, got 2 in row 0"),
        ([[2.0, -1.0, 0.0, 0.0]], r"probabilities must lie between 0 and 1, got -1\.0 to 2\.0 in row 0"),
        ([[np.nan, 1.0, 0.0, 0.0]], "probabilities must be finite, got nan at row 0, column 0"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            rule.decide(wrong, probabilities=True)
        with pytest.raises(InvalidInputError, match=message):
            rule.fit(wrong, [0], probabilities=True)


@pytest.mark.parametrize("weight", [1.0, 0.5])
@pytest.mark.parametrize(
    "rule",
    [
        MinimumCost([[0, 1], [5, 0.5]], abstain_cost=0.4),
        MinimumCost([[0, 1], [5, 0]]),
        SelectiveRisk(0.3),
        PredictionSets("lac", 0.2, groups="class"),
        TunedThreshold("balanced_accuracy", at_least=("recall", 0.5)),
        TunedThreshold(cost=[[0, 1], [5, 0]]),
    ],
    ids=repr,
)
def test_rows_of_weight_0_do_not_count_and_equal_weights_change_nothing(rule: Rule, weight: float) -> None:
    rule.fit(*made(1, rows=400, classes=2), probabilities=True)
    probabilities, labels = made(2, rows=400, classes=2)
    # a row that does not count is as wrong as can be
    counts = np.arange(400) % 3 > 0
    labels[~counts] = probabilities[~counts].argmin(axis=1)

    def outcomes(kept: np.ndarray, weights: np.ndarray | None) -> Outcomes:
        values, truth = probabilities[kept], labels[kept]
        decision = rule.decide(values, probabilities=True)
        return Outcomes(values, decision, truth, values.argmax(axis=1), ("no", "yes"), None, weights)

    alone, weighted = outcomes(counts, None), outcomes(np.arange(400), weight * counts)
    # the test of a cost compares how much the rows weigh with those of the calibration
    if weight == 1 or not isinstance(rule, MinimumCost):
        every = [rule.promises(one, calibration_rows=300, draws=199) for one in (alone, weighted)]
        for promise, other in zip(*every, strict=True):
            np.testing.assert_allclose(other[1:5], promise[1:5], rtol=1e-9, err_msg=promise.name)
    covered, counted = rule.coverage(alone), rule.coverage(weighted)
    assert [one.name for one in covered] == [one.name for one in counted]
    for group, other in zip(covered, counted, strict=True):
        scaled = np.array(other[1:4]) / weight
        np.testing.assert_allclose([*scaled, *other[4:]], group[1:], rtol=1e-9)
    cost, other = rule.costs(alone), rule.costs(weighted)
    assert (cost is None) == (other is None)
    if cost is not None:
        means = [cost.mean, cost.expected, cost.without_rule or 0]
        np.testing.assert_allclose([other.mean, other.expected, other.without_rule or 0], means, rtol=1e-12)


def test_a_rule_of_ones_own_decides_as_it_says_and_not_as_its_base() -> None:
    class Last(MostLikely):
        def _decide(self, probabilities: np.ndarray, groups: object) -> Decision:
            last = np.full(len(probabilities), probabilities.shape[1] - 1)
            return Decision(last, probabilities[:, -1], last < 0)

    class Named(MostLikely):
        pass

    assert Last().decide([[0.6, 0.3, 0.1]], probabilities=True).action.tolist() == [2]
    assert Named().decide([[0.3, 0.6, 0.1]], probabilities=True).action.tolist() == [1]
    assert Named().criterion(3) is not None
    assert Last().criterion(3) is None


@pytest.mark.parametrize(
    "rule",
    [
        SelectiveRisk(0.3),
        PredictionSets("lac", 0.2, groups="class"),
        PredictionSets("aps", 0.2, groups="rows"),
        TunedThreshold("f1_score"),
    ],
    ids=repr,
)
def test_rows_of_weight_0_teach_nothing(rule: Rule) -> None:
    probabilities, labels = made(3, rows=600, classes=2)
    weights = np.random.default_rng(0).integers(0, 3, 600) / 2
    counts = weights > 0
    labels[~counts] = probabilities[~counts].argmin(axis=1)
    groups = np.where(counts, np.array(["a", "b"])[np.arange(600) % 2], "nowhere")
    states = [
        rule.fit(
            probabilities[rows],
            labels[rows],
            groups[rows] if rule.takes_groups else None,
            sample_weight=weights[rows],
            probabilities=True,
        ).to_dict()
        for rows in (counts, slice(None))
    ]
    assert states[0] == states[1]
