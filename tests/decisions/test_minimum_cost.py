import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softmaxlib.decisions import MinimumCost, MostLikely, Rule
from softmaxlib.decisions.outcomes import Outcomes
from softmaxlib.errors import FileFormatError, InvalidInputError, UnsupportedTypeError


def rows(seed: int, count: int, classes: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), count)


@given(
    st.integers(0, 1000),
    st.integers(2, 6),
    st.integers(1, 6),
    st.none() | st.floats(-2, 2),
)
def test_each_action_is_the_cheapest_in_exact_arithmetic(
    seed: int, classes: int, actions: int, abstain_cost: float | None
) -> None:
    probabilities = rows(seed, 7, classes)
    cost = np.random.default_rng(seed).normal(size=(classes, actions))
    decision = (
        MinimumCost(cost, abstain_cost)
        .fit(probabilities, np.zeros(7, int), probabilities=True)
        .decide(probabilities, probabilities=True)
    )
    for i, row in enumerate(probabilities):
        exact = [
            sum(Fraction(p) * Fraction(c) for p, c in zip(row, cost[:, a], strict=True))
            for a in range(actions)
        ]
        least = min(exact)
        if abstain_cost is not None and least > Fraction(abstain_cost) + Fraction(1, 10**9):
            assert decision.abstained[i]
            assert decision.action[i] == -1
            assert decision.expected_cost[i] == abstain_cost
        elif abstain_cost is None or least < Fraction(abstain_cost):
            assert not decision.abstained[i]
            assert exact[decision.action[i]] - least < Fraction(1, 10**9)
            assert decision.expected_cost[i] == pytest.approx(float(least), abs=1e-12)


def test_two_classes_are_a_threshold() -> None:
    false_alarm, miss = 1.0, 4.0
    p = np.linspace(0, 1, 1001)
    action = (
        MinimumCost([[0, false_alarm], [miss, 0]])
        .decide(np.stack([1 - p, p], axis=1), probabilities=True)
        .action
    )
    np.testing.assert_array_equal(action, p > false_alarm / (false_alarm + miss) + 1e-12)


def test_equal_costs_make_it_the_most_likely_class() -> None:
    probabilities = rows(0, 1000, 5)
    cost = 1 - np.eye(5)
    decision = MinimumCost(cost).decide(probabilities, probabilities=True)
    np.testing.assert_array_equal(
        decision.action, MostLikely().decide(probabilities, probabilities=True).action
    )
    np.testing.assert_allclose(decision.expected_cost, 1 - decision.confidence, rtol=1e-12)
    assert decision.sets is None


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e9])
def test_ties_go_to_the_first_action_in_any_batch(unit: float) -> None:
    # 0.1 + 0.2 and 0.3 differ in their last bit, and matrix products of other sizes round otherwise
    probabilities = np.tile([0.1, 0.2, 0.3, 0.4], (1000, 1))
    cost = unit * np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    decision = MinimumCost(cost, abstain_cost=0.3 * unit).decide(probabilities, probabilities=True)
    assert not decision.action.any()
    assert not decision.abstained.any()
    assert MinimumCost(cost[:, ::-1], abstain_cost=0.3 * unit).decide(
        probabilities[:1], probabilities=True
    ).action.tolist() == [0]


def test_a_row_decides_alone_as_in_a_batch() -> None:
    probabilities = rows(1, 300, 40)
    rule = MinimumCost(np.random.default_rng(1).normal(size=(40, 30)), abstain_cost=0.0)
    batch = rule.decide(probabilities, probabilities=True)
    alone = [rule.decide(row[None], probabilities=True) for row in probabilities]
    np.testing.assert_array_equal(batch.action, [one.action[0] for one in alone])
    np.testing.assert_allclose(
        batch.expected_cost, [one.expected_cost[0] for one in alone], rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("abstain_cost", [None, 0.25])
def test_json_keeps_every_bit(abstain_cost: float | None) -> None:
    rule = MinimumCost(np.random.default_rng(2).normal(size=(3, 4)), abstain_cost)
    back = Rule.from_dict(json.loads(json.dumps(rule.to_dict(), allow_nan=False)))
    assert isinstance(back, MinimumCost)
    np.testing.assert_array_equal(back.cost, rule.cost)
    assert back.abstain_cost == abstain_cost
    assert repr(back) == repr(rule)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"abstain_cost": "free"}, "MinimumCost.abstain_cost must be a number, got 'free'"),
        ({"cost": [[0, 1], [1, 0]]}, r"MinimumCost.cost must be a JSON object"),
        ({"more": 1}, "MinimumCost has an unknown field 'more'"),
        ({"class": "Rule"}, "rule.class must be one of .*MinimumCost.*; got 'Rule'"),
        ({"version": 99}, "rule.version must be one of 1, 2, got 99"),
    ],
)
def test_a_damaged_rule_is_refused(change: dict, message: str) -> None:
    state = MinimumCost([[0, 1], [1, 0]], 0.1).to_dict()
    with pytest.raises(FileFormatError, match=message):
        Rule.from_dict({**state, **change})


def test_a_matrix_that_is_no_cost_is_refused_on_loading() -> None:
    state = MinimumCost([[0, 1], [1, 0]]).to_dict()
    state["cost"] = {"dtype": "<f8", "shape": [0, 0], "base64": ""}
    with pytest.raises(
        FileFormatError, match="MinimumCost can't be made of what was saved: cost must have one row"
    ):
        Rule.from_dict(state)


def test_actions_have_names_where_they_are_no_classes() -> None:
    assert MinimumCost([[0, 1], [5, 0]]).action_names is None
    assert MinimumCost([[0, 1], [5, 0]], action_names=["keep", "mend"]).action_names == ("keep", "mend")
    assert MinimumCost([[0, 1, 2], [5, 0, 2]]).action_names == ("0", "1", "2")


def test_another_class_is_refused_by_name() -> None:
    with pytest.raises(FileFormatError, match=r"rule.class must be one of .*MostLikely.*; got 'MinimumCost'"):
        MostLikely.from_dict(MinimumCost([[0, 1], [1, 0]]).to_dict())


@pytest.mark.parametrize(
    ("cost", "abstain_cost", "error", "message"),
    [
        ([0, 1], None, InvalidInputError, r"cost must have one row a class.*got shape \(2,\)"),
        ([[0, 1]], None, InvalidInputError, r"cost must have one row a class.*got shape \(1, 2\)"),
        ([[0, 1], [1]], None, InvalidInputError, "cost must be a rectangular matrix"),
        ([[0, 1], [np.inf, 0]], None, InvalidInputError, "got inf for class 1, action 0; use a large number"),
        ([["a", "b"], ["c", "d"]], None, UnsupportedTypeError, "cost must be real numbers, got dtype <U1"),
        ([[0, 1], [1, 0]], np.nan, InvalidInputError, "abstain_cost must be finite, got nan; use None"),
        ([[0, 1], [1, 0]], "1", UnsupportedTypeError, "abstain_cost must be one real number"),
        ([[0, 1.1e100], [1, 0]], None, InvalidInputError, "cost must be 0 or between 1e-100 and 1e"),
        ([[0, 0.9e-100], [0, 0]], None, InvalidInputError, "cost must be 0 or between 1e-100 and 1e"),
        ([[0, 1], [1, 0]], -1.1e100, InvalidInputError, "abstain_cost must be 0 or between 1e-100 and 1e"),
    ],
)
def test_costs_that_mean_nothing_are_refused(
    cost: object, abstain_cost: object, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        MinimumCost(cost, abstain_cost)


@pytest.mark.parametrize(
    ("cost", "abstain_cost"),
    [
        ([[0, 1e100], [1, 0]], 1e100),
        ([[0, 1e-100], [0, 0]], None),
        ([[0, 0], [0, 0]], None),
        ([[0], [1]], 1e-200),
    ],
)
def test_the_largest_and_smallest_costs_are_taken(cost: list, abstain_cost: float | None) -> None:
    rule = MinimumCost(cost, abstain_cost)
    assert (rule.cost.tolist(), rule.abstain_cost) == (cost, abstain_cost)


def test_another_number_of_classes_is_refused() -> None:
    rule = MinimumCost([[0, 1], [1, 0]])
    with pytest.raises(InvalidInputError, match="MinimumCost is for 2 classes, got probabilities of 3"):
        rule.decide([[0.2, 0.3, 0.5]], probabilities=True)
    with pytest.raises(InvalidInputError, match="MinimumCost is for 2 classes, got probabilities of 3"):
        rule.fit([[0.2, 0.3, 0.5]], [0], probabilities=True)


def test_binary_is_the_matrix_of_its_two_mistakes() -> None:
    rule = MinimumCost.binary(false_positive=1, false_negative=50, abstain_cost=0.4)
    assert rule.to_dict() == MinimumCost([[0, 1], [50, 0]], abstain_cost=0.4).to_dict()
    with pytest.raises(InvalidInputError, match="false_negative must be finite and above 0, got -1; it is"):
        MinimumCost.binary(false_positive=1, false_negative=-1)


@pytest.mark.parametrize(("count", "least"), [(29, 1.0), (30, 1 / 200)])
def test_few_rows_can_tell_nothing_of_a_cost(count: int, least: float) -> None:
    rule, probabilities = MinimumCost(1 - np.eye(3)), rows(0, count, 3)
    decision = rule.decide(probabilities, probabilities=True)
    labels = np.zeros(count, int)
    outcomes = Outcomes(probabilities, decision, labels, np.argmax(probabilities, axis=1), ("a", "b", "c"))
    (promise,) = rule.promises(outcomes, calibration_rows=100, draws=199)
    assert promise.least_p_value == least


@pytest.mark.parametrize(
    ("rule", "threshold"),
    [
        (MinimumCost([[1, 3], [5, 0]]), 2 / 7),
        (MinimumCost([[0, 1], [0, 0]]), None),  # a miss costs nothing
        (MinimumCost([[1, 0], [1, 0]]), None),
        (MinimumCost([[0, 1], [5, 0]], abstain_cost=0.5), None),
        (MinimumCost([[0, 1], [5, 0]], action_names=["wait", "act"]), None),
        (MinimumCost([[0, 1, 2], [5, 0, 1]]), None),
        (MinimumCost(1 - np.eye(3)), None),
    ],
)
def test_the_threshold_that_costs_amount_to(rule: MinimumCost, threshold: float | None) -> None:
    names = ("no", "yes", "maybe")[: len(rule.cost)]
    found = rule.second_class_threshold(names)
    assert found == (None if threshold is None else pytest.approx(threshold, rel=1e-15))
    if threshold is not None:
        near = np.array([threshold - 1e-9, threshold + 1e-9])
        assert rule.decide(np.stack([1 - near, near], axis=1), probabilities=True).action.tolist() == [0, 1]


@pytest.mark.parametrize("weights", [None, np.array([0.0, 2, 1, 1, 3, 0.5])])
def test_the_curve_decides_the_cheapest_rows(weights: np.ndarray | None) -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.5, 0.5], [0.05, 0.95], [0.6, 0.4]])
    labels = np.array([0, 0, 1, 1, 1, 0])
    rule = MinimumCost([[0, 1], [2, 0.25]], abstain_cost=0.3)
    outcomes = Outcomes(
        probabilities,
        rule.decide(probabilities, probabilities=True),
        labels,
        probabilities.argmax(axis=1),
        ("no", "yes"),
        sample_weight=weights,
    )
    costs, of_rows = rule.costs(outcomes), np.ones(6) if weights is None else weights
    expected = probabilities @ rule.cost
    action = expected.argmin(axis=1)
    paid = rule.cost[labels, action]
    order = np.argsort(expected.min(axis=1))
    for count in range(7):
        decided = np.isin(np.arange(6), order[:count])
        covered = (of_rows * decided).sum() / of_rows.sum()
        mean = (of_rows * np.where(decided, paid, 0.3)).sum() / of_rows.sum()
        place = np.flatnonzero(np.isclose(costs.curve.coverage, covered))
        assert np.isclose(costs.curve.cost[place], mean).any(), (covered, mean)
    aside = expected.min(axis=1) > 0.3
    realized = np.where(aside, 0.3, paid)
    assert costs.mean == pytest.approx((of_rows * realized).sum() / of_rows.sum())
    stated = np.where(aside, 0.3, expected.min(axis=1))
    assert costs.expected == pytest.approx((of_rows * stated).sum() / of_rows.sum())
    likely = rule.cost[labels, probabilities.argmax(axis=1)]
    assert costs.without_rule == pytest.approx((of_rows * likely).sum() / of_rows.sum())
    np.testing.assert_array_equal(costs.of_rows, realized)
    assert costs.threshold_curve is None
    np.testing.assert_array_equal(costs.if_decided.action, action)
    np.testing.assert_allclose(costs.if_decided.expected, expected.min(axis=1))
    np.testing.assert_array_equal(costs.if_decided.paid, paid)
    decided_always = MinimumCost(rule.cost)
    outcomes = outcomes._replace(decision=decided_always.decide(probabilities, probabilities=True))
    costs = decided_always.costs(outcomes)
    assert (costs.curve, costs.if_decided) == (None, None)
    for threshold, cost in zip(costs.threshold_curve.threshold, costs.threshold_curve.cost, strict=True):
        taken = (probabilities[:, 1] >= threshold).astype(int)
        assert cost == pytest.approx((of_rows * rule.cost[labels, taken]).sum() / of_rows.sum())
