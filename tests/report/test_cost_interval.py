"""Intervals of mean costs: exact laws, coverage, what a row can cost, and the sentences of a report."""

import numpy as np
import pytest
from evaluated_rows import simulated
from scipy import stats

from softmaxlib import Policy, evaluate, softmax
from softmaxlib.calibration import Identity
from softmaxlib.decisions import Costs, MinimumCost, MostLikely, Rule, TunedThreshold
from softmaxlib.report.cost_interval import CostRange, cost_interval

COSTS = np.array([[0.0, 1.0, 4.0], [2.0, 0.0, 1.0], [3.0, 1.0, 0.0]])


def moments(counts, costs):
    """Mean and standard error of costs that occur so often."""
    rows = counts.sum(axis=-1)
    mean = counts @ costs / rows
    return mean, np.sqrt(np.maximum(counts @ costs**2 / rows - mean**2, 0) / rows)


@pytest.mark.parametrize(("rows", "mistakes"), [(30, 3), (250, 1), (250, 120), (10_000, 9_000)])
def test_of_two_costs_it_is_jeffreys_interval_of_a_share(rows, mistakes):
    counts, costs = np.array([rows - mistakes, mistakes]), np.array([-2.0, 5.0])
    found = cost_interval(*moments(counts, costs), rows, CostRange(-2.0, 5.0))
    law = stats.beta(mistakes + 0.5, rows - mistakes + 0.5)
    assert found == pytest.approx(-2 + 7 * law.ppf([0.025, 0.975]), rel=1e-9)


def test_without_a_mistake_it_begins_at_the_mean():
    low, high = cost_interval(0.0, 0.0, 30, CostRange(0.0, 1.0))
    assert (low, high) == pytest.approx((0, stats.beta(0.5, 30.5).ppf(0.975)))
    assert np.isnan(cost_interval(0.0, 0.0, 29.9, CostRange(0.0, 1.0))).all()
    assert cost_interval(7.0, 0.0, 30, CostRange(7.0, 7.0)) == (7, 7)  # nothing else is possible


@pytest.mark.parametrize("counts", [(900, 80, 20), (500, 300, 200), (40, 0, 5)])
def test_of_more_costs_it_is_near_to_their_dirichlet_law(counts):
    counts, costs, ends = np.array(counts), np.array([0.0, 1.0, 8.0]), np.array([0.5, 1e-9, 0.5])
    shares = np.random.default_rng(0).dirichlet(counts + ends, size=100_000)
    low, high = np.quantile(shares @ costs, [0.025, 0.975])
    found = cost_interval(*moments(counts, costs), counts.sum(), CostRange(0.0, 8.0))
    assert found == pytest.approx((low, high), abs=0.05 * (high - low))


@pytest.mark.parametrize("rows", [30, 100, 1000])
@pytest.mark.parametrize("chances", [(0.97, 0.01, 0.02), (0.897, 0.1, 0.003), (0.6, 0.3, 0.1)])
def test_it_holds_the_true_mean_also_where_mistakes_are_rare(rows, chances):
    costs = np.array([0.0, 1.0, 50.0])
    counts = np.random.default_rng(0).multinomial(rows, chances, 4000)
    low, high = cost_interval(*moments(counts, costs), rows, CostRange(0.0, 50.0))
    assert np.mean((low <= chances @ costs) & (chances @ costs <= high)) > 0.92  # by the normal law 0.27


class Amounts(Rule):
    """Takes the most likely class; a wrong one costs as much as the row's largest probability is."""

    def costs(self, outcomes):
        paid = np.where(outcomes.decision.action == outcomes.labels, 0.0, outcomes.decision.confidence)
        return Costs(outcomes.mean(paid), 0.0, None, None, paid)

    def _decide(self, probabilities, groups):
        return MostLikely().decide(probabilities, probabilities=True)


class OnlyAMean(Amounts):
    def costs(self, outcomes):
        return super().costs(outcomes)._replace(of_rows=None)


NAMED = {"action_names": ["wait", "test", "treat", "send home"]}
RANGES = {
    "costs": (MinimumCost(COSTS), (0, 4)),
    "a cost of setting aside": (MinimumCost(COSTS / 10, abstain_cost=0.7), (0, 0.7)),
    "actions of its own": (MinimumCost(np.arange(12.0).reshape(3, 4) - 3, **NAMED), (-3, 8)),
    "no costs": (MostLikely(), None),
    "only a mean": (OnlyAMean(), None),
}


@pytest.mark.parametrize("case", RANGES)
def test_what_a_row_can_cost(case):
    rule, expected = RANGES[case]
    logits, labels = simulated(200, 3)
    decided = evaluate(logits, labels, policy=Policy(Identity(), rule).fit(logits, labels)).decided
    assert decided.cost_range == (None if expected is None else pytest.approx(expected))
    assert (decided.cost_interval is None) == (expected is None)


def test_what_a_row_can_cost_by_a_rule_of_ones_own_is_at_least_what_rows_did():
    logits, labels = simulated(200, 3)
    decided = evaluate(logits, labels, policy=Policy(Identity(), Amounts()).fit(logits, labels)).decided
    wrong = logits.argmax(axis=1) != labels
    assert decided.cost_range.least == 0
    assert softmax(logits).max(axis=1)[wrong].max() <= decided.cost_range.largest <= 1


@pytest.mark.parametrize(
    "rule",
    [
        MinimumCost.binary(false_positive=1, false_negative=1),
        MinimumCost.binary(false_positive=1, false_negative=50),
        MinimumCost.binary(false_positive=1, false_negative=50, abstain_cost=0.4),
        TunedThreshold(cost=[[0, 1], [50, 0]]),
    ],
    ids=["equal costs", "unequal costs", "setting aside", "tuned"],
)
def test_rows_without_a_mistake_do_not_show_that_there_is_none(rule):
    labels = np.arange(30) % 2
    logits = 8.0 * np.eye(2)[labels]
    policy = Policy(Identity(), rule).fit(logits, labels)
    evaluation = evaluate(logits, labels, policy=policy, groups=["all"] * 30)
    decided, (group,) = evaluation.decided, evaluation.groups.groups
    miss = decided.cost_range.largest
    assert miss == rule.cost.max()
    low, high = decided.cost_interval
    assert low == decided.mean_cost == 0
    # as the interval of `TunedThreshold`: each pair of a class and an action may occur
    shares = np.random.default_rng(0).dirichlet([15.5, 0.5, 0.5, 15.5], size=100_000)
    assert high == pytest.approx(np.quantile(shares @ [0, 1, miss, 0], 0.975), rel=0.3)
    assert group.cost[1:] == pytest.approx(decided.cost_interval)
    text = " ".join(evaluation.verdict.sentences)
    assert f"A row costs 0 on average (95% interval 0 to {high:.4g})" in text
    if decided.at_cost is not None:
        assert (decided.at_cost.cost.upper > decided.at_cost.cost.value).all()
