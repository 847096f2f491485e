"""Groups of rows compared: figures by their definition, tests against exact laws, groups of every kind."""

import itertools
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

from softmaxlib import Policy, evaluate
from softmaxlib.activations import softmax
from softmaxlib.calibration import Identity
from softmaxlib.decisions import MinimumCost, MostLikely, PredictionSets
from softmaxlib.errors import InvalidInputError, UnsupportedTypeError
from softmaxlib.report.group_differences import Compared, permutation_p_value

COSTS = np.array([[0.0, 1.0, 4.0], [2.0, 0.0, 1.0], [3.0, 1.0, 0.0]])


def made(rows=900, seed=0):
    generator = np.random.default_rng(seed)
    logits = 3 * generator.normal(size=(rows, 3))
    labels = (logits / 2 + generator.gumbel(size=logits.shape)).argmax(axis=1)
    return logits, labels, generator.choice(["north", "east", "south"], rows, p=[0.5, 0.1, 0.4])


def costly():
    logits, labels, _ = made(400, seed=1)
    return Policy(Identity(), MinimumCost(COSTS, abstain_cost=0.4)).fit(logits, labels)


class TestFigures:
    def test_of_each_group_are_those_of_its_rows(self):
        logits, labels, groups = made()
        found = evaluate(logits, labels, groups=groups, policy=costly()).groups
        assert [group.name for group in found.groups] == ["east", "north", "south"]
        for group in found.groups:
            rows = groups == group.name
            probabilities = softmax(logits[rows])
            right = logits[rows].argmax(axis=1) == labels[rows]
            exact = stats.binomtest(int(right.sum()), int(rows.sum())).proportion_ci(0.95, "exact")
            assert group.rows == rows.sum()
            assert group.accuracy == pytest.approx((right.mean(), exact.low, exact.high), abs=1e-12)
            confidence = probabilities.max(axis=1)
            bins = np.ceil(confidence * 15)
            gaps = [abs((right - confidence)[bins == one].sum()) for one in np.unique(bins)]
            assert group.calibration_error.value == pytest.approx(sum(gaps) / rows.sum(), abs=1e-12)
            assert 0 < group.chance_error[0] < group.chance_error[1]
            expected = probabilities @ COSTS
            decided, action = expected.min(axis=1) <= 0.4, expected.argmin(axis=1)
            assert group.decided.value == pytest.approx(decided.mean())
            wrong = (action != labels[rows])[decided]
            exact = stats.binomtest(int(wrong.sum()), int(decided.sum())).proportion_ci(0.95, "exact")
            assert group.risk == pytest.approx((wrong.mean(), exact.low, exact.high), abs=1e-12)
            paid = np.where(decided, COSTS[labels[rows], action], 0.4)
            assert group.cost.value == pytest.approx(paid.mean())
            law = np.random.default_rng(0).dirichlet([*np.ones(rows.sum()), 0.5, 0.5], size=10_000)
            low, high = np.quantile(law @ [*paid, COSTS.min(), COSTS.max()], [0.025, 0.975])
            assert group.cost[1:] == pytest.approx((low, high), abs=0.1 * (high - low))

    def test_without_a_policy_there_are_no_decisions(self):
        found = evaluate(*made()[:2], groups=made()[2]).groups
        assert {(group.decided, group.risk, group.cost) for group in found.groups} == {(None, None, None)}
        assert [one.figure for one in found.differences] == ["accuracy", "calibration"]

    def test_integer_weights_are_repeated_rows(self):
        logits, labels, groups = made(300)
        weights = np.random.default_rng(2).integers(0, 4, 300)
        policy = costly()
        weighted = evaluate(logits, labels, groups=groups, policy=policy, sample_weight=weights).groups
        repeated = evaluate(
            *(np.repeat(part, weights, axis=0) for part in (logits, labels)),
            groups=np.repeat(groups, weights),
            policy=policy,
        ).groups
        for one, other in zip(weighted.groups, repeated.groups, strict=True):
            for figure in ("accuracy", "calibration_error", "decided", "risk", "cost"):
                value, same = getattr(one, figure), getattr(other, figure)
                assert value.value == pytest.approx(same.value, abs=1e-12)
                if figure != "calibration_error" and one.rows >= 30:  # the evidence is not repeated
                    assert value.upper - value.lower > same.upper - same.lower

    def test_few_rows_have_no_interval_of_a_mean(self):
        logits, labels, _ = made(40)
        found = evaluate(logits, labels, groups=["few"] * 5 + ["many"] * 35, policy=costly())
        few, many = found.groups.groups
        assert np.isnan([few.cost.lower, few.calibration_error.upper]).all()
        assert np.isfinite([few.accuracy.lower, many.cost.lower, many.calibration_error.upper]).all()
        content = json.loads(json.dumps(found.to_dict()))["groups"]["groups"][0]
        assert content["cost"] == {"value": few.cost.value, "lower": None, "upper": None}


class TestDifferences:
    def test_of_two_groups_is_fishers_by_the_same_statistic(self):
        hits, sizes = np.array([4, 19]), np.array([20, 40])
        value = np.concatenate([np.arange(size) < hit for size, hit in zip(sizes, hits, strict=True)])
        found = permutation_p_value(Compared(value * 1.0, np.repeat([0, 1], sizes), None, None))
        support = np.arange(0, 21)
        law = stats.hypergeom(60, 23, 20)
        distance = abs(support / 20 - (23 - support) / 40)
        expected = law.pmf(support)[distance >= distance[4] - 1e-12].sum()
        assert found == pytest.approx(expected, abs=4 * np.sqrt(expected / 2000))

    def test_of_weighted_rows_is_that_of_all_permutations(self):
        value = np.array([0.0, 1.0, 5.0, 2.0, 9.0, 7.0, 8.0])
        weights = np.array([1.0, 2.0, 1.0, 3.0, 1.5, 1.0, 2.0])
        group = np.array([0, 0, 0, 0, 1, 1, 1])

        def statistic(first):
            rest = np.setdiff1d(np.arange(7), first)
            means = [np.average(value[part], weights=weights[part]) for part in (list(first), rest)]
            mean = np.average(value, weights=weights)
            totals = [weights[list(first)].sum(), weights[rest].sum()]
            return sum(total * (one - mean) ** 2 for total, one in zip(totals, means, strict=True))

        every = np.array([statistic(first) for first in itertools.combinations(range(7), 4)])
        expected = np.mean(every >= statistic((0, 1, 2, 3)) - 1e-12)
        found = permutation_p_value(Compared(value, group, None, weights))
        assert found == pytest.approx(expected, abs=0.02)

    def test_strata_hold_what_differs_between_them_apart(self):
        """Group 1 has the easy rows: right more often over all, and as often among rows as easy."""
        stratum = np.repeat([0, 1], [200, 200])
        group = np.concatenate([np.arange(200) % 5 == 0, np.arange(200) % 5 != 0]).astype(int)
        value = (np.random.default_rng(0).random(400) < np.repeat([0.5, 0.95], 200)).astype(float)
        assert permutation_p_value(Compared(value, group, None, None)) < 0.001
        assert permutation_p_value(Compared(value, group, stratum, None)) > 0.2

    def test_finds_what_differs_and_says_so(self):
        logits, labels, groups = made(1500)
        east = groups == "east"
        labels = np.where(east, np.random.default_rng(3).integers(3, size=1500), labels)
        found = evaluate(logits, labels, groups=groups)
        assert all(one.differs for one in found.groups.differences)
        assert (
            "The 3 groups differ by more than chance in accuracy (p = 0.001), calibration"
            in (found.verdict.sentences[-1])
        )
        worst = min(found.groups.groups, key=lambda group: group.accuracy.value)
        assert worst.name == "east"
        assert worst.calibration_p_value < 0.01

    def test_chance_is_no_difference(self):
        logits, labels, groups = made(seed=4)
        found = evaluate(logits, labels, groups=groups)
        assert not any(one.differs for one in found.groups.differences)
        assert "groups do not differ by more than chance" in found.verdict.sentences[-1]

    def test_one_group_is_compared_with_nothing(self):
        logits, labels, _ = made(100)
        found = evaluate(logits, labels, groups=["all"] * 100)
        assert found.groups.differences == ()
        assert found.verdict.sentences[-1] == ("All rows are in one group, all: there is nothing to compare.")

    def test_a_risk_that_is_the_accuracy_is_not_counted_twice(self):
        logits, labels, groups = made(200)
        policy = Policy(Identity(), MostLikely()).fit(logits, labels)
        found = evaluate(logits, labels, groups=groups, policy=policy).groups
        assert [one.figure for one in found.differences] == ["accuracy", "calibration"]
        assert all(group.risk.value == pytest.approx(1 - group.accuracy.value) for group in found.groups)


KINDS = {
    "text": (["b", "a", "b", "a"], ["a", "b"]),
    "numbers": (np.array([10, 9, 10, 9]), ["9", "10"]),
    "booleans": ([True, False, True, False], ["false", "true"]),
    "floats of numbers": (np.array([1.0, np.nan, 1.0, 2.0]), ["1", "2", "(missing)"]),
    "categories": (pd.Series(["b", None, "b", "a"], dtype="category"), ["a", "b", "(missing)"]),
    "nullable numbers": (pd.Series([7, None, 7, 3], dtype="Int64"), ["3", "7", "(missing)"]),
    "nullable text": (pd.Series(["x", pd.NA, "x", "y"], dtype="string"), ["x", "y", "(missing)"]),
    "polars": (pl.Series(["x", None, "x", "y"]), ["x", "y", "(missing)"]),
    "polars categories": (pl.Series(["x", None, "x", "y"], dtype=pl.Categorical), ["x", "y", "(missing)"]),
    "one called so": (["(missing)", None, "(missing)", "a"], ["(missing)", "a", "(missing)*"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_groups_of_every_kind(kind):
    groups, names = KINDS[kind]
    logits, labels, _ = made(4)
    found = evaluate(logits, labels, groups=groups)
    assert [group.name for group in found.groups.groups] == names
    assert sum(group.rows for group in found.groups.groups) == 4


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        (["a"] * 3, InvalidInputError, r"groups must hold one group a row, shape \(40,\), got shape \(3,\)"),
        (
            np.linspace(0, 1, 40),
            UnsupportedTypeError,
            "groups must be texts or whole numbers, got dtype float64",
        ),
        (
            [("a",)] * 40,
            InvalidInputError,
            r"groups must hold one group a row, shape \(40,\), got shape \(40, 1\)",
        ),
    ],
)
def test_misuse_is_refused(groups, error, words):
    logits, labels, _ = made(40)
    with pytest.raises(error, match=words):
        evaluate(logits, labels, groups=groups)


def test_too_many_groups_are_refused():
    logits, labels, _ = made(1001)
    with pytest.raises(
        InvalidInputError, match="groups must be at most 1,000 to be compared, got 1,001; join"
    ):
        evaluate(logits, labels, groups=np.arange(1001))


def test_a_rule_that_takes_groups_gets_them():
    logits, labels, groups = made(600)
    policy = Policy(Identity(), PredictionSets(alpha=0.2, groups="rows")).fit(logits, labels, groups=groups)
    found = evaluate(logits, labels, groups=groups, policy=policy)
    assert [group.name for group in found.groups.groups] == [one.name for one in found.decided.set_groups]


def test_the_page_shows_each_group_and_escapes_its_name(tmp_path):
    logits, labels, groups = made(300)
    named = np.where(groups == "east", "<script>alert(1)</script>", groups).astype(object)
    named[:3] = None
    found = evaluate(logits, labels, groups=named, policy=costly())
    found.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<h2>Group by group</h2>" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "too few rows to tell" in page  # of the three without a group
    assert page.count("<small>") > 3 * 5
