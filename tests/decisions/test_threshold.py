import json

import numpy as np
import pytest

from softmaxlib.decisions import MinimumCost, MostLikely, Rule, Threshold
from softmaxlib.errors import FileFormatError, InvalidInputError, UnsupportedTypeError


def rows(seed: int, classes: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), 500)


def test_one_number_sets_unsure_rows_aside() -> None:
    probabilities = rows(0, 4)
    decision = Threshold(0.6).decide(probabilities, probabilities=True)
    np.testing.assert_array_equal(decision.abstained, probabilities.max(axis=1) < 0.6)
    expected = np.where(decision.abstained, -1, MostLikely().decide(probabilities, probabilities=True).action)
    np.testing.assert_array_equal(decision.action, expected)


def test_two_classes_are_the_usual_threshold_and_the_cost_rule() -> None:
    probabilities = rows(1, 2)
    decision = Threshold([0.8, 0.2]).decide(probabilities, probabilities=True)
    assert not decision.abstained.any()
    np.testing.assert_array_equal(decision.action, probabilities[:, 1] >= 0.2)
    cost = MinimumCost([[0, 1], [4, 0]]).decide(probabilities, probabilities=True)
    np.testing.assert_array_equal(decision.action, cost.action)


def test_a_class_is_taken_only_above_its_own_threshold() -> None:
    probabilities, thresholds = rows(2, 5), np.array([0.3, 0.5, 0.7, 0.2, 0.9])
    decision = Threshold(thresholds).decide(probabilities, probabilities=True)
    reached = probabilities >= thresholds
    np.testing.assert_array_equal(decision.abstained, ~reached.any(axis=1))
    taken = ~decision.abstained
    assert reached[taken, decision.action[taken]].all()


def test_reaching_a_threshold_exactly_is_enough() -> None:
    probabilities = np.array([[0.1, 0.9], [0.9, 0.1]])
    assert not Threshold(0.9).decide(probabilities, probabilities=True).abstained.any()


@pytest.mark.parametrize("thresholds", [0.25, [0.1, 0.9, 0.3]])
def test_json(thresholds: object) -> None:
    rule = Threshold(thresholds)
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert repr(back) == repr(rule)
    probabilities = rows(3, 3)
    np.testing.assert_array_equal(
        back.decide(probabilities, probabilities=True).action,
        rule.decide(probabilities, probabilities=True).action,
    )


def test_a_damaged_rule_is_refused() -> None:
    state = Threshold([0.5, 0.5]).to_dict()
    state["thresholds"]["numbers"][1] = "0.5"
    with pytest.raises(FileFormatError, match=r"Threshold.thresholds.numbers must be a number, got '0.5'"):
        Rule.from_dict(state)
    state["thresholds"] = {"dtype": "<f8", "shape": [0], "base64": ""}
    with pytest.raises(FileFormatError, match="Threshold can't be made of what was saved"):
        Rule.from_dict(state)


@pytest.mark.parametrize(
    ("thresholds", "error", "message"),
    [
        (
            [0.5, 0.0],
            InvalidInputError,
            r"above 0 and be at most 1, got 0\.0 for class 1; use a small number",
        ),
        (np.nan, InvalidInputError, "got nan; use a small number"),
        ([0.5], InvalidInputError, r"one number or one per class, got shape \(1,\)"),
        ([[0.5]], InvalidInputError, r"one number or one per class, got shape \(1, 1\)"),
        ("0.5", UnsupportedTypeError, "thresholds must be real numbers"),
        ({"cat": 0.9}, UnsupportedTypeError, r"in the order of the columns, got a dict; .* \[0\.9, 0\.5\]"),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(thresholds: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Threshold(thresholds)


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="Threshold is for 3 classes, got probabilities of 2"):
        Threshold([0.5, 0.5, 0.5]).fit([[0.5, 0.5]], [0], probabilities=True)
