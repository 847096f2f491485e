"""What a decision rule made of labelled rows."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from ..decisions import CostCurve, GroupCoverage, Outcomes, Rule


class ActionRows(NamedTuple):
    """An action by its name, and how many rows it was taken for."""

    name: str
    rows: int


@dataclass(frozen=True)
class Decided:
    """The decisions of a policy, judged by the labels.

    Attributes
    ----------
    rows, decided : int
        Rows in all, and rows the rule did not set aside.
    accuracy : float
        Share of right decisions among the decided rows; NaN where none was, or where the rule has actions of
        its own, which are not right or wrong but cost something.
    actions : tuple of ActionRows
        How often each action was taken, for a rule that has actions of its own; else empty.
    mean_cost, expected_cost : float or None
        What a row cost on average, and what the policy expected; None for a rule without costs.
    cost_without_rule : float or None
        What a row would have cost by always taking the most likely class; None for a rule without costs,
        or with actions of its own.
    cost_curve : CostCurve or None
        For a rule with a cost of setting aside.
    set_sizes : array of int (classes + 1,) or None
        How many sets have 0, 1, 2, ... classes; None for a rule without sets.
    set_coverage : float or None
        Share of the sets that hold the true class.
    set_groups : tuple of GroupCoverage
        The same within each group, where the rule promises coverage within groups.
    """

    rows: int
    decided: int
    accuracy: float
    actions: tuple[ActionRows, ...]
    mean_cost: float | None
    expected_cost: float | None
    cost_without_rule: float | None
    cost_curve: CostCurve | None
    set_sizes: IntArray | None
    set_coverage: float | None
    set_groups: tuple[GroupCoverage, ...]

    @property
    def coverage(self) -> float:
        """Share of the rows decided."""
        return self.decided / self.rows


def judge_decisions(rule: Rule, outcomes: Outcomes) -> Decided:
    """Judge what a rule decided by the true classes."""
    decision, labels = outcomes.decision, outcomes.labels
    kept = ~decision.abstained
    taken = decision.action[kept]
    names = rule.name_actions(outcomes.class_names)
    takes_classes = rule.takes_classes(outcomes.class_names)
    counts = np.bincount(taken, minlength=len(names)).tolist()
    sizes = set_coverage = None
    if decision.sets is not None:
        sizes = np.bincount(decision.sets.sum(axis=1), minlength=len(outcomes.class_names) + 1)
        set_coverage = float(decision.sets[np.arange(len(labels)), labels].mean())
    costs = rule.costs(outcomes)
    return Decided(
        rows=len(labels),
        decided=int(kept.sum()),
        accuracy=float((taken == labels[kept]).mean()) if takes_classes and kept.any() else float("nan"),
        actions=() if takes_classes else tuple(map(ActionRows, names, counts)),
        mean_cost=None if costs is None else costs.mean,
        expected_cost=None if costs is None else costs.expected,
        cost_without_rule=None if costs is None else costs.without_rule,
        cost_curve=None if costs is None else costs.curve,
        set_sizes=sizes,
        set_coverage=set_coverage,
        set_groups=tuple(group for group in rule.coverage(outcomes) if group.name),
    )
