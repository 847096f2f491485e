"""Sums over all rows for an evaluation of more rows than memory holds, computed in one pass."""

from typing import Any, NamedTuple, Self

import numpy as np

from .._all_rows import Floats, RowBlock
from .._arrays import IntArray
from .._checks import known_logits
from ..decisions import Decision, Outcomes
from ..metrics import Tally
from ..metrics._bins import confidence_sums
from ..metrics._poisson_binomial import class_sums
from ..metrics.calibration_test import fine_edges
from ..metrics.predictions import Predictions
from ..policy import Policy, Wanted
from ..policy.judging import judge_values
from .confusions import pairs_of

MOST_CLASSES = 64  # of more, the cells of the classes' tests take too much memory
_WANTED = Wanted(calibrated=True, probabilities=True, most_likely=True)
_NOTHING: Floats = np.zeros(0)


class JudgementSums(NamedTuple):
    """Of one set of probabilities.

    Attributes
    ----------
    fine : array (3, bins)
        Between `fine_edges`.
    classes : array (classes, 3, cells) or (0,)
        See `class_sums`.
    """

    fine: Floats
    classes: Floats


class DecisionSums(NamedTuple):
    """Of what a rule decided.

    Attributes
    ----------
    actions : array (actions,)
        How often each was taken.
    right : array (2,)
        Decided rows whose action is the true class, and rows whose set holds it.
    sizes : array (classes + 1,) or (0,)
        Sets of each size.
    by_class : array (classes * (actions + 1),) or (0,)
        Rows of each true class and decision, in the order of `pairs_of`; of too many classes none.
    costs : array (4,)
        Sums of the cost of a row, of its square, of the expected cost and of the cost without the rule; NaN
        where there are none.
    """

    actions: Floats
    right: Floats
    sizes: Floats
    by_class: Floats
    costs: Floats


class RowSums(NamedTuple):
    """Of the logits as they came; as a policy calibrates them, and as it decides, where there is one."""

    before: JudgementSums
    after: JudgementSums | None
    decided: DecisionSums | None

    @classmethod
    def of(cls, seen: "SeenRows", counting: "Counting") -> Self:
        """Sum over rows without weights."""
        if seen.after is None or seen.outcomes is None or counting.policy is None:
            return cls(_of_judgement(seen.before, True), None, None)
        return cls(
            _of_judgement(seen.before, False),
            _of_judgement(seen.after, True),
            _of_decisions(counting.policy, seen.outcomes),
        )

    def merge(self, other: "RowSums") -> "RowSums":
        """Add the sums over other rows."""
        parts = zip(self, other, strict=True)
        return RowSums(*(None if one is None else _added(one, two) for one, two in parts))  # type: ignore[arg-type]


def _added(one: Any, other: Any) -> Any:
    return type(one)(*(first + second for first, second in zip(one, other, strict=True)))


class SeenRows(NamedTuple):
    """Some rows: as they came; as a policy calibrates them, and as it decides, where there is one."""

    before: Predictions
    after: Predictions | None
    outcomes: Outcomes | None


class Counting(NamedTuple):
    """Settings of the count, the same for all rows.

    Attributes
    ----------
    class_names : tuple of str
    policy : Policy or None
    """

    class_names: tuple[str, ...]
    policy: Policy | None

    def tallies(self) -> tuple[Tally, Tally]:
        """Return empty tallies of the logits as they came, and as the policy calibrates them."""
        classes, policy = len(self.class_names), self.policy
        if policy is None:
            return Tally(classes, mistakes=0), Tally(classes, mistakes=0)
        rule = policy.rule
        after = Tally(
            classes,
            mistakes=0,
            least_confidence=rule.least_confidence(classes),
            threshold=rule.second_class_threshold(self.class_names),
        )
        return Tally(classes, mistakes=0), after

    def see(self, block: RowBlock) -> SeenRows:
        """Return logits as they are judged and decided."""
        with known_logits():
            before = Predictions.of_logits(block.values, block.labels, block.weights)
            policy = self.policy
            if policy is None:
                return SeenRows(before, None, None)
            groups = block.groups if policy.rule.takes_groups else None
            calibrated, probabilities, most_likely, decision, _ = judge_values(
                policy.calibration, policy.rule, block.values, groups, _WANTED
            )
            assert calibrated is not None
            assert probabilities is not None
            assert most_likely is not None
            after = Predictions.of_logits(calibrated, block.labels, block.weights)
            names = self.class_names
            outcomes = Outcomes(
                probabilities, decision, block.labels, most_likely, names, groups, block.weights
            )
            return SeenRows(before, after, outcomes)


def _of_judgement(rows: Predictions, is_final: bool) -> JudgementSums:
    classes = rows.values.shape[1]
    # of two classes, the curves are drawn by the cells
    counts_cells = classes == 2 or (is_final and classes <= MOST_CLASSES)
    return JudgementSums(confidence_sums(rows, fine_edges()), class_sums(rows) if counts_cells else _NOTHING)


def _of_decisions(policy: Policy, outcomes: Outcomes) -> DecisionSums:
    decision, labels = outcomes.decision, outcomes.labels
    kept = ~decision.abstained
    taken = decision.action[kept]
    classes, names = len(outcomes.class_names), policy.rule.name_actions(outcomes.class_names)
    actions = np.bincount(taken, minlength=len(names))
    by_class = _NOTHING
    if max(classes, len(names)) <= MOST_CLASSES:
        pairs = pairs_of(labels, decision.action, len(names))
        by_class = np.bincount(pairs, minlength=classes * (len(names) + 1)).astype(np.float64)
    sizes, covered = _of_sets(decision, labels)
    return DecisionSums(
        actions.astype(np.float64),
        np.array([np.count_nonzero(taken == labels[kept]), covered], np.float64),
        sizes,
        by_class,
        _of_costs(policy, outcomes),
    )


def _of_sets(decision: Decision, labels: IntArray) -> tuple[Floats, int]:
    sets = decision.sets
    if sets is None:
        return _NOTHING, 0
    sizes = np.bincount(sets.sum(axis=1), minlength=sets.shape[1] + 1)
    return sizes.astype(np.float64), int(sets[np.arange(len(labels)), labels].sum())


def _of_costs(policy: Policy, outcomes: Outcomes) -> Floats:
    costs = policy.rule.mean_costs(outcomes)
    if costs is None:
        return np.full(4, np.nan)
    rows = len(outcomes.labels)
    # without BLAS, whose threads would take the processors of the other parts
    square = np.nan if costs.of_rows is None else float(np.square(costs.of_rows).sum())
    without = np.nan if costs.without_rule is None else costs.without_rule
    return np.array([costs.mean * rows, square, costs.expected * rows, without * rows])
