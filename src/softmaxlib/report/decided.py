"""The decisions of a rule on labelled rows, judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from .._text import brief_repr
from ..decisions import CostCurve, Costs, GroupCoverage, Outcomes, Rule
from ..metrics import CostThresholdCurve
from ..metrics.operating_points import probability_stops
from ..metrics.predictions import Floats
from ..metrics.shares import WeightedShare, clopper_pearson, weighted_share
from ..policy.figures import Weights
from .at_cost import AtCost, at_cost, mean_of_rows
from .confusions import DecisionsByClass
from .cost_interval import CostRange, cost_range
from .counts import Counts

_LEVEL = 0.95
_CURVE_POINTS = 200  # evenly spread by rows, and as many by the log of the threshold


class ActionRows(NamedTuple):
    """An action by its name, and how many rows it was taken for, or their weight."""

    name: str
    rows: float


@dataclass(frozen=True, repr=False)
class Decided:
    """The decisions of a policy, judged by the labels.

    Attributes
    ----------
    rows, decided : float
        Rows in all, and rows the rule did not set aside; where rows have weights, the sums of these.
    accuracy : float
        Share of right decisions among the decided rows; NaN where none was, or where the rule has actions of
        its own, which are not right or wrong but cost something.
    accuracy_interval : tuple of float
        Its 95% interval (Clopper-Pearson); NaN where `accuracy` is.
    by_class : DecisionsByClass
        How often each decision was made for the rows of each true class.
    is_most_likely : bool
        Whether every row got its most likely class.
    actions : tuple of ActionRows
        How often each action was taken, for a rule that has actions of its own; else empty.
    mean_cost, expected_cost : float or None
        The mean cost of a row, and the mean that the policy expected; None for a rule without costs.
    cost_interval : tuple of float or None
        The 95% interval of `mean_cost`; NaN where there are fewer than 30 rows. It is Jeffreys' interval of a
        share, for any costs: it allows for mistakes that did not occur on these rows.
    cost_range : tuple of float or None
        The least and the largest cost that a row can have.
    cost_without_rule : float or None
        What a row would have cost by always taking the most likely class; None for a rule without costs,
        or with actions of its own.
    cost_curve : CostCurve or None
        For a rule with a cost of setting aside.
    at_cost : AtCost or None
        For the same rules: what would be decided, and what that would cost, by other limits of the expected
        cost.
    cost_threshold_curve : CostThresholdCurve or None
        What thresholds on the second of two classes would have cost, for a rule that is a threshold: at most
        some 600 points, exact, those of `at_threshold` and the cheapest among them.
    threshold : float or None
        The probability from which the rule takes the second of two classes; None for other rules.
    set_sizes : array of int (classes + 1,) or None
        How many sets have 0, 1, 2, ... classes, or their weight; None for a rule without sets.
    set_coverage : float or None
        Share of the sets that hold the true class.
    set_coverage_interval : tuple of float or None
        Its 95% interval (Clopper-Pearson).
    set_groups : tuple of GroupCoverage
        The same within each group, where the rule promises coverage within groups.
    least_confidence : float or None
        Rows of less confidence are handed over; None for a rule that decides otherwise.
    meaning : str
        When a row is decided and when it is handed over, in a sentence; empty for a rule that doesn't say.
    """

    rows: float
    decided: float
    accuracy: float
    accuracy_interval: tuple[float, float]
    by_class: DecisionsByClass
    is_most_likely: bool
    actions: tuple[ActionRows, ...]
    mean_cost: float | None
    expected_cost: float | None
    cost_interval: tuple[float, float] | None
    cost_range: CostRange | None
    cost_without_rule: float | None
    cost_curve: CostCurve | None
    at_cost: AtCost | None
    cost_threshold_curve: CostThresholdCurve | None
    threshold: float | None
    set_sizes: Counts | None
    set_coverage: float | None
    set_coverage_interval: tuple[float, float] | None
    set_groups: tuple[GroupCoverage, ...]
    least_confidence: float | None
    meaning: str

    __repr__ = brief_repr

    def action_names(self, class_names: Sequence[str]) -> tuple[str, ...]:
        """Return the name of each action: those of the classes, unless the rule has actions of its own."""
        return tuple(action.name for action in self.actions) or tuple(class_names)

    @property
    def coverage(self) -> float:
        """Share of the rows decided."""
        return self.decided / self.rows


def judge_decisions(rule: Rule, outcomes: Outcomes, costs: Costs | None) -> Decided:
    """Judge what a rule decided by the true classes."""
    decision, labels, weights = outcomes.decision, outcomes.labels, outcomes.sample_weight
    kept = np.flatnonzero(~decision.abstained if weights is None else ~decision.abstained & (weights > 0))
    of_taken = None if weights is None else weights[kept]
    taken = decision.action[kept]
    names = rule.name_actions(outcomes.class_names)
    takes_classes = rule.takes_classes(outcomes.class_names)
    counts = np.bincount(taken, of_taken, len(names)).tolist()
    possible = None if costs is None else cost_range(rule, outcomes, costs)
    threshold = rule.second_class_threshold(outcomes.class_names)
    sizes = covered = None
    if decision.sets is not None:
        sizes = np.bincount(decision.sets.sum(axis=1), weights, len(outcomes.class_names) + 1)
        covered = weighted_share(decision.sets[np.arange(len(labels)), labels], weights)
    right = weighted_share(taken == labels[kept], of_taken) if takes_classes and kept.size else None
    return Decided(
        rows=len(labels) if weights is None else float(weights.sum()),
        decided=kept.size if of_taken is None else float(of_taken.sum()),
        accuracy=float(right.value) if right is not None else float("nan"),
        accuracy_interval=(float("nan"), float("nan")) if right is None else _interval(right),
        by_class=DecisionsByClass.of(labels, decision.action, weights, len(outcomes.class_names), len(names)),
        is_most_likely=takes_classes and np.array_equal(decision.action, outcomes.most_likely),
        actions=() if takes_classes else tuple(map(ActionRows, names, counts)),
        mean_cost=None if costs is None else costs.mean,
        expected_cost=None if costs is None else costs.expected,
        cost_interval=_cost_interval(costs, weights, possible),
        cost_range=possible,
        cost_without_rule=None if costs is None else costs.without_rule,
        cost_curve=None if costs is None else costs.curve,
        at_cost=_at_cost(costs, labels if takes_classes else None, weights, possible),
        cost_threshold_curve=_thinned(costs, threshold),
        threshold=threshold,
        set_sizes=sizes,
        set_coverage=None if covered is None else float(covered.value),
        set_coverage_interval=None if covered is None else _interval(covered),
        set_groups=tuple(group for group in rule.coverage(outcomes) if group.name),
        least_confidence=rule.least_confidence(len(outcomes.class_names)),
        meaning=rule.explain(outcomes.class_names),
    )


def _interval(share: WeightedShare) -> tuple[float, float]:
    low, high = clopper_pearson(share, _LEVEL)
    return float(low), float(high)


def _cost_interval(
    costs: Costs | None, weights: Weights | None, possible: CostRange | None
) -> tuple[float, float] | None:
    if costs is None or costs.of_rows is None or possible is None:
        return None
    return mean_of_rows(costs.of_rows, weights, possible)[1:]


def _at_cost(
    costs: Costs | None, labels: IntArray | None, weights: Weights | None, possible: CostRange | None
) -> AtCost | None:
    if costs is None or costs.if_decided is None or possible is None:
        return None
    return at_cost(costs.if_decided, labels, weights, possible)


def cost_places(curve: CostThresholdCurve, thresholds: Floats) -> npt.NDArray[np.int64]:
    """Return the index of the point that holds the cost of each threshold: the last one not below it."""
    place = np.searchsorted(-curve.threshold, -thresholds, side="right") - 1
    return np.maximum(place, 0)


def _thinned(costs: Costs | None, threshold: float | None) -> CostThresholdCurve | None:
    """Return the cheapest point, the ends, those at the slider's stops, and some evenly spread."""
    if costs is None or costs.threshold_curve is None:
        return None
    curve = costs.threshold_curve
    points = len(curve.cost)
    if points <= 2 * _CURVE_POINTS:
        return curve
    by_rows = np.linspace(0, points - 1, _CURVE_POINTS).round().astype(np.int64)
    fall = -np.log(np.maximum(curve.threshold[1:], 1e-300))
    by_threshold = 1 + np.searchsorted(fall, np.linspace(fall[0], fall[-1], _CURVE_POINTS))
    at_stops = cost_places(curve, probability_stops(threshold))
    cheapest = [np.argmin(curve.cost)]
    some = np.unique(np.concatenate([by_rows, np.minimum(by_threshold, points - 1), at_stops, cheapest]))
    return CostThresholdCurve(curve.cost[some], curve.threshold[some])
