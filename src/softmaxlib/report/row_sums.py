"""Sums over all rows for an evaluation of more rows than memory holds, computed in one pass."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np

from .._all_rows import AllRows, Floats, Merged, RowBlock
from .._arrays import IntArray
from .._checks import known_logits
from ..decisions import Decision, Outcomes
from ..metrics._poisson_binomial import class_sums
from ..metrics.calibration_test import fine_sums
from ..metrics.predictions import Predictions
from ..policy import Policy, Wanted, logits_of
from .judgement import Judgement, confidence_histograms

MOST_CLASSES = 64  # of more, the cells of the classes' tests take too much memory
_WANTED = Wanted(calibrated=True, probabilities=True, most_likely=True)
_NOTHING: Floats = np.zeros(0)


class Stops(NamedTuple):
    """Thresholds at which rows are counted, rising.

    Attributes
    ----------
    confidence, threshold : array (points,)
        On the confidence, and on the probability of the second of two classes.
    """

    confidence: Floats
    threshold: Floats

    @classmethod
    def of(cls, judgement: Judgement) -> Self:
        """Return those that some of the rows were judged at."""
        at = judgement.at_threshold
        return cls(judgement.at_confidence.threshold, _NOTHING if at is None else at.threshold)


class JudgementSums(NamedTuple):
    """Of one set of probabilities.

    Attributes
    ----------
    histograms : array (2, bins)
        Right and wrong rows in each bin of confidence.
    of_confidence : array (2, points)
        Rows, and right rows, of at least each confidence.
    of_threshold : array (2, points)
        Rows of the first class and of the second whose probability of the second is at least each threshold.
    fine : array (3, bins)
        See `fine_sums`.
    classes : array (classes, 3, cells) or (0,)
        See `class_sums`.
    """

    histograms: Floats
    of_confidence: Floats
    of_threshold: Floats
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
    costs : array (4,)
        Sums of the cost of a row, of its square, of the expected cost and of the cost without the rule; NaN
        where there are none.
    """

    actions: Floats
    right: Floats
    sizes: Floats
    costs: Floats


class RowSums(NamedTuple):
    """Of the logits as they came; as a policy calibrates them, and as it decides, where there is one."""

    before: JudgementSums
    after: JudgementSums | None
    decided: DecisionSums | None


class Counting(NamedTuple):
    """Settings of the count, the same for all rows.

    Attributes
    ----------
    class_names : tuple of str
    policy : Policy or None
    floor : float or None
        What an exact probability of 0 is taken as; None where the rows hold logits.
    before, after : Stops
        Of the logits as they came, and as the policy calibrates them.
    """

    class_names: tuple[str, ...]
    policy: Policy | None
    floor: float | None
    before: Stops
    after: Stops


def sum_rows(rows: AllRows, some: RowBlock, counting: Counting) -> RowSums:
    """Sum over all rows, none of which has a weight; `some` of them are given too, one at least."""
    flat = rows.merged(_merged, counting).added
    parts = _sums(some, counting)
    sizes = np.cumsum([array.size for array in _arrays(parts)])
    found = iter(np.split(flat, sizes[:-1]))
    filled = (
        None if part is None else type(part)(*(next(found).reshape(array.shape) for array in part))
        for part in parts
    )
    return RowSums(*filled)  # type: ignore[arg-type]


def _merged(block: RowBlock, counting: Counting) -> Merged:
    return Merged(np.concatenate([array.ravel() for array in _arrays(_sums(block, counting))]))


def _arrays(sums: RowSums) -> Iterator[Floats]:
    for part in sums:
        if part is not None:
            yield from part


def _sums(block: RowBlock, counting: Counting) -> RowSums:
    policy = counting.policy
    with known_logits():
        values = block.values if counting.floor is None else logits_of(block.values, counting.floor)
        before = Predictions.of_logits(values, block.labels)
        if policy is None:
            return RowSums(_of_judgement(before, counting.before, True), None, None)
        groups = block.groups if policy.rule.takes_groups else None
        judged = policy.judge(
            block.values, probabilities=policy.input == "probabilities", groups=groups, wanted=_WANTED
        )
        assert judged.calibrated is not None
        assert judged.probabilities is not None
        assert judged.most_likely is not None
        after = Predictions.of_logits(judged.calibrated, block.labels)
        outcomes = Outcomes(
            judged.probabilities,
            judged.decision,
            block.labels,
            judged.most_likely,
            counting.class_names,
            groups,
        )
        return RowSums(
            _of_judgement(before, counting.before, False),
            _of_judgement(after, counting.after, True),
            _of_decisions(policy, outcomes),
        )


def _of_judgement(rows: Predictions, stops: Stops, is_final: bool) -> JudgementSums:
    confidence, right = rows.figure("confidence"), rows.figure("correct")
    classes = rows.values.shape[1]
    of_threshold = np.zeros((2, 0))
    if stops.threshold.size:
        second, truth = rows.column(1), rows.labels == 1
        of_threshold = np.stack([_at_least(stops.threshold, second[truth == one]) for one in (False, True)])
    # of two classes, the curves are drawn by the cells
    counts_cells = classes == 2 or (is_final and classes <= MOST_CLASSES)
    return JudgementSums(
        np.stack(confidence_histograms(rows)).astype(np.float64),
        np.stack([_at_least(stops.confidence, confidence), _at_least(stops.confidence, confidence[right])]),
        of_threshold,
        np.stack(fine_sums(rows)),
        class_sums(rows) if counts_cells else _NOTHING,
    )


def _at_least(stops: Floats, values: Floats) -> Floats:
    """Count the values that are at least each stop."""
    cells = np.bincount(np.searchsorted(stops, values, side="right"), minlength=stops.size + 1)
    return np.cumsum(cells[::-1])[::-1][1:].astype(np.float64)


def _of_decisions(policy: Policy, outcomes: Outcomes) -> DecisionSums:
    decision, labels = outcomes.decision, outcomes.labels
    kept = ~decision.abstained
    taken = decision.action[kept]
    actions = np.bincount(taken, minlength=len(policy.rule.name_actions(outcomes.class_names)))
    sizes, covered = _of_sets(decision, labels)
    return DecisionSums(
        actions.astype(np.float64),
        np.array([np.count_nonzero(taken == labels[kept]), covered], np.float64),
        sizes,
        _of_costs(policy, outcomes),
    )


def _of_sets(decision: Decision, labels: IntArray) -> tuple[Floats, int]:
    sets = decision.sets
    if sets is None:
        return _NOTHING, 0
    sizes = np.bincount(sets.sum(axis=1), minlength=sets.shape[1] + 1)
    return sizes.astype(np.float64), int(sets[np.arange(len(labels)), labels].sum())


def _of_costs(policy: Policy, outcomes: Outcomes) -> Floats:
    costs = policy.rule.costs(outcomes)
    if costs is None:
        return np.full(4, np.nan)
    rows = len(outcomes.labels)
    square = np.nan if costs.of_rows is None else float(costs.of_rows @ costs.of_rows)
    without = np.nan if costs.without_rule is None else costs.without_rule
    return np.array([costs.mean * rows, square, costs.expected * rows, without * rows])
