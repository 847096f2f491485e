"""A policy fitted on more rows than memory holds: by passes over all of them, or on a sample."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._all_rows import AllRows, Floats, Merged, RowBlock
from .._arrays import FloatArray, IntArray
from .._checks import known_logits
from .._clock import time_now
from ..activations import softmax
from ..calibration import Calibration
from ..decisions import Rule
from ..metrics.predictions import Predictions
from ..metrics.shares import ShareSums, weighted_share
from .cross_fitting import CalibratedRows, cross_fitted
from .figure_sums import FIGURE_SUMS, FigureSums, RecordSums
from .figures import LossCounts, Weights, edges_of
from .record import FitRecord, versions
from .rows import FitRows, SplitRows, split_rows

_ROWS_OF_EDGES = 100_000


@dataclass(frozen=True)
class LargeRows:
    """Rows that are too many to hold, as logits, and a uniform sample of them.

    Attributes
    ----------
    calibration_rows, rule_rows : int
        How many rows are the calibration's, and the rule's.
    split : str
        How they were parted, see `FitRecord.split`.
    effective_rows : float or None
        See `FitRecord`.
    sample : FitRows
        The rows that are held.
    sample_rule_rows : boolean array or None
        Which of these are the rule's, where it learns.
    sample_groups : array of text or None
        Their groups.
    for_calibration, judged : AllRows
        The logits of the calibration's rows, and of the rule's; where the rule does not learn, each of all.
    for_rule : callable
        The rule's rows as probabilities, after a calibration.
    """

    calibration_rows: int
    rule_rows: int
    split: str
    effective_rows: float | None
    sample: FitRows
    sample_rule_rows: npt.NDArray[np.bool_] | None
    sample_groups: npt.NDArray[np.object_] | None
    for_calibration: AllRows
    judged: AllRows
    for_rule: Callable[[Calibration], AllRows]


class HeldSample(NamedTuple):
    """Rows that are held of all, as they were given: values, labels, groups and weights."""

    values: FloatArray
    labels: IntArray
    groups: npt.NDArray[np.object_] | None
    weights: Weights | None


def learns_by_sums(calibration: Calibration, rule: Rule) -> bool:
    """Return True if the calibration or the rule can learn from more rows than a sample."""
    return calibration.learns_by_sums or rule.learns_by_sums


@dataclass(frozen=True)
class LargeFit:
    """The parts of a policy, fitted."""

    calibration: Calibration
    rule: Rule
    record: FitRecord


def fit_large(calibration: Calibration, rule: Rule, rows: LargeRows, kind: Any, seed: int) -> LargeFit:
    """Fit both by sums over all rows where they can be, else on the sample; neither is changed.

    The figures of the record are of all rows of a rule that learns by sums; else of the sample.
    """
    calibration, rule = copy.deepcopy((calibration, rule))
    rule.check_groups(rows.sample_groups)
    split = None
    if not calibration.learns_by_sums or (rule.learns and not rule.learns_by_sums):
        split = split_rows(rule, rows.sample, rows.sample_rule_rows, rows.sample_groups, seed)
    with known_logits():
        calibration_rows = _fit_calibration(calibration, rows, split)
        if rule.learns_by_sums:
            rule.fit_all(rows.for_rule(calibration))
            found, rule_rows = _of_all(calibration, rule, rows), rows.rule_rows
        else:
            found = _of_sample(calibration, rule, rows, split, seed)
            rule_rows = 0 if split is None or not rule.learns else len(split.judged.labels)
    sampled = {
        "calibration": not calibration.learns_by_sums,
        "rule": rule.learns and not rule.learns_by_sums,
        "figures": not rule.learns_by_sums,
    }
    every = rows.calibration_rows + rows.rule_rows
    record = FitRecord(
        fitted_at=time_now(),
        versions=versions(),
        input=kind,
        rows=every,
        calibration_rows=calibration_rows,
        rule_rows=rule_rows,
        split=rows.split,
        random_state=seed,
        effective_rows=rows.effective_rows,
        sampled_from=every if any(sampled.values()) else None,
        sampled=tuple(part for part, is_sampled in sampled.items() if is_sampled),
        **found,
    )
    return LargeFit(calibration, rule, record)


def _fit_calibration(calibration: Calibration, rows: LargeRows, split: SplitRows | None) -> int:
    """Fit it, and return on how many rows."""
    if calibration.learns_by_sums:
        calibration.fit_all(rows.for_calibration)
        return rows.calibration_rows
    assert split is not None
    fitting = split.for_calibration
    calibration.fit(fitting.values, fitting.labels, fitting.weights)
    return len(fitting.labels)


def _of_all(calibration: Calibration, rule: Rule, rows: LargeRows) -> dict[str, Any]:
    """Return the figures of all rows of the rule; the bins of reliability are those of some."""
    some = rows.judged.every(max(1, rows.rule_rows // _ROWS_OF_EDGES))
    calibrated = Predictions.of_logits(calibration.transform(some.values), some.labels)
    edges = edges_of(calibrated.figure("confidence"))
    sums = rows.judged.merged(_record_sums, calibration, rule, edges).added
    before, after = np.split(sums, [FIGURE_SUMS])
    known = RecordSums.from_flat(after, len(edges) + 1)
    is_weighted = rows.judged.is_weighted
    return {
        "before": FigureSums.from_flat(before).figures_of_rows(),
        "after": known.figures.figures_of_rows(),
        "reliability": known.reliability.reliability(edges, is_weighted),
        "losses": None if is_weighted else LossCounts.from_dense(known.losses),
        "abstained": float(known.aside.share(is_weighted).value),
    }


def _record_sums(block: RowBlock, calibration: Calibration, rule: Rule, edges: Floats) -> Merged:
    """Return the sums for the record: of the input logits, and after calibration and decision."""
    with known_logits():
        after = calibration.transform(block.values)
        decision = rule.decide(softmax(after), block.groups, probabilities=True)
    before = FigureSums.of(Predictions.of_logits(block.values, block.labels, block.weights))
    calibrated = Predictions.of_logits(after, block.labels, block.weights)
    return Merged(np.concatenate([before.flat, RecordSums.of(calibrated, decision.abstained, edges).flat]))


def _of_sample(
    calibration: Calibration, rule: Rule, rows: LargeRows, split: SplitRows | None, seed: int
) -> dict[str, Any]:
    """Return the figures of rows that are held; a rule that learns is fitted on its rows among them."""
    if rule.learns:
        assert split is not None
        judged = CalibratedRows(split.judged, calibration.transform(split.judged.values))
        probabilities = softmax(judged.after)
        weights, groups = judged.rows.weights, split.groups
        rule.fit(probabilities, judged.rows.labels, groups, sample_weight=weights, probabilities=True)
        decision = rule.decide(probabilities, groups, probabilities=True)
        aside = weighted_share(decision.abstained, weights)
    else:
        one = rows.sample.some(np.arange(1))
        rule.fit(softmax(calibration.transform(one.values)), one.labels, probabilities=True)
        sums = rows.judged.merged(_aside, calibration, rule).added
        aside = ShareSums(*sums.tolist()).share(rows.judged.is_weighted)
        judged = cross_fitted(calibration, rows.sample, seed)
    found = FitRecord.figures_of(judged.rows.values, judged.after, judged.rows.labels, judged.rows.weights)
    return {**found, "abstained": float(aside.value)}


def _aside(block: RowBlock, calibration: Calibration, rule: Rule) -> Merged:
    with known_logits():
        probabilities = softmax(calibration.transform(block.values))
        decision = rule.decide(probabilities, block.groups, probabilities=True)
    return Merged(np.array(ShareSums.of(decision.abstained, block.weights)))
