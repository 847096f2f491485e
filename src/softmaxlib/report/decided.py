"""What a decision rule made of labelled rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._arrays import FloatArray, IntArray
from ..activations import softmax
from ..policy import GroupCoverage, realized_cost

_CURVE_POINTS = 400


class CostCurve(NamedTuple):
    """Mean cost of a row when only the cheapest share of rows is decided and the rest set aside.

    Attributes
    ----------
    coverage : array (points,)
        Share of the rows decided, those of least expected cost first.
    cost : array (points,)
        Mean cost over all rows, those set aside included.
    """

    coverage: FloatArray
    cost: FloatArray


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


def judge_decisions(
    rule: Any,
    decision: Any,
    logits: FloatArray,
    labels: IntArray,
    class_names: Sequence[str],
    coverage: tuple[GroupCoverage, ...],
) -> Decided:
    """Judge a rule's decision of calibrated logits (rows, classes) by the labels (rows,)."""
    probabilities = softmax(logits)
    kept = ~np.asarray(decision.abstained)
    taken = decision.action[kept]
    names = rule.name_actions(class_names)
    takes_classes = names == tuple(class_names)
    counts = np.bincount(taken, minlength=len(names)).tolist()
    sizes = set_coverage = None
    if getattr(decision, "sets", None) is not None:
        sizes = np.bincount(decision.sets.sum(axis=1), minlength=logits.shape[1] + 1)
        set_coverage = float(decision.sets[np.arange(len(labels)), labels].mean())
    mean_cost = expected = without = curve = None
    if hasattr(rule, "cost"):
        cost = np.asarray(rule.cost, dtype=np.float64)
        mean_cost = float(realized_cost(rule, decision, labels).mean())
        expected = float(np.mean(decision.expected_cost))
        if takes_classes:
            without = float(cost[labels, probabilities.argmax(axis=1)].mean())
        if rule.abstain_cost is not None:
            curve = _cost_curve(cost, float(rule.abstain_cost), probabilities, labels)
    return Decided(
        rows=len(labels),
        decided=int(kept.sum()),
        accuracy=float((taken == labels[kept]).mean()) if takes_classes and kept.any() else float("nan"),
        actions=() if takes_classes else tuple(map(ActionRows, names, counts)),
        mean_cost=mean_cost,
        expected_cost=expected,
        cost_without_rule=without,
        cost_curve=curve,
        set_sizes=sizes,
        set_coverage=set_coverage,
        set_groups=tuple(group for group in coverage if group.name),
    )


def _cost_curve(
    cost: FloatArray, abstain_cost: float, probabilities: FloatArray, labels: IntArray
) -> CostCurve:
    expected = probabilities @ cost
    action = expected.argmin(axis=1)
    order = np.argsort(expected.min(axis=1), kind="stable")
    paid = cost[labels, action][order]
    rows = len(labels)
    decided = np.unique(np.linspace(0, rows, _CURVE_POINTS).round().astype(np.int64))
    total = np.concatenate([[0.0], np.cumsum(paid)])[decided] + abstain_cost * (rows - decided)
    return CostCurve(decided / rows, total / rows)
