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
)
from softmaxlib.errors import FileFormatError, InvalidInputError

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
