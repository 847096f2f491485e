"""An evaluation of a sample, with what is known of all rows that it was drawn from."""

from dataclasses import replace

import numpy as np

from ..metrics import (
    PrecisionRecallCurve,
    RiskCoverageCurve,
    RocCurve,
)
from ..metrics._bins import BinSums
from ..metrics.calibration_test import calibration_test_of_sums
from ..metrics.cell_curves import curves_of_cells
from ..metrics.class_calibration_test import class_calibration_test_of_sums
from ..metrics.shares import WeightedShare, clopper_pearson
from ..metrics.tally_result import TallyResult
from ..policy import Audit, Figures
from .class_calibration import judge_class_test
from .class_figures import class_figures
from .confusions import Confusions, DecisionsByClass
from .cost_interval import cost_interval
from .decided import ActionRows, Decided
from .evaluation import Evaluation
from .judgement import Judgement, chance_interval, spread
from .row_sums import MOST_CLASSES, DecisionSums, JudgementSums, RowSums
from .verdict import give_verdict

_LEVEL = 0.95


def with_all_rows(
    evaluation: Evaluation,
    before: TallyResult,
    after: TallyResult | None,
    sums: RowSums | None,
    audit: Audit | None,
    seed: int,
) -> Evaluation:
    """Put what is known of all rows in the place of what the sample says; `sampled` names the rest.

    There are no `sums` where rows have weights. The interval of the Brier score, tests, the curves of two
    classes and decisions are those of the sample then.
    """
    known = after or before
    effective = None if evaluation.effective_rows is None else known.effective_rows
    judged = _with(evaluation.before, before, None if sums is None else sums.before, seed)
    final = None
    if evaluation.after is not None and after is not None:
        final = _with(evaluation.after, after, None if sums is None else sums.after, seed)
    names = evaluation.class_names
    pairs = sorted(known.confusion)
    confusions = Confusions(
        np.array([truth for truth, _ in pairs]),
        np.array([predicted for _, predicted in pairs]),
        np.array([known.confusion[pair] for pair in pairs], np.int64 if effective is None else np.float64),
    )
    class_calibration, decided = evaluation.class_calibration, evaluation.decided
    if sums is not None:
        cells = (sums.after or sums.before).classes
        if cells.size:
            class_calibration = judge_class_test(class_calibration_test_of_sums(cells), names)
        if decided is not None and sums.decided is not None:
            decided = _decided(decided, sums.decided, known.rows, confusions)
    return replace(
        evaluation,
        rows=known.rows,
        effective_rows=effective,
        sampled_rows=evaluation.rows,
        sampled=tuple(_sampled(evaluation, sums)),
        before=judged,
        after=final,
        confusions=confusions,
        audit=audit,
        classes=class_figures(names, confusions, known.class_probability.tolist()),
        class_calibration=class_calibration,
        decided=decided,
        verdict=give_verdict(judged, final, class_calibration, decided, audit, evaluation.groups, effective),
    )


def _sampled(evaluation: Evaluation, sums: RowSums | None) -> list[str]:
    """Name what comes from the sample alone."""
    if sums is None:
        parts = ["interval of the Brier score", "tests"]
        if len(evaluation.class_names) == 2:
            parts.append("ROC and precision-recall curves")
        if evaluation.decided is not None:
            parts.append("decisions")
    else:
        parts = ["interval of the Brier score"]
        if len(evaluation.class_names) > MOST_CLASSES:
            parts.append("tests of the classes")
        decided = evaluation.decided
        if decided is not None and max(len(evaluation.class_names), len(decided.actions)) > MOST_CLASSES:
            parts.append("decisions on each class")
        if decided is not None and (decided.at_cost or decided.cost_curve or decided.cost_threshold_curve):
            parts.append("costs at other thresholds")
        if decided is not None and decided.set_groups:
            parts.append("coverage within groups")
    if evaluation.groups is not None:
        parts.append("comparison of groups")
    return parts


def _with(
    judgement: Judgement,
    result: TallyResult,
    sums: JudgementSums | None,
    seed: int,
) -> Judgement:
    assert result.confidence_of_right is not None
    assert result.confidence_of_wrong is not None
    assert result.at_confidence is not None
    kind, sampled_error = np.float64 if sums is None else np.int64, judgement.figures.calibration_error
    judgement = replace(
        judgement,
        figures=Figures.of_tally(result),
        accuracy_interval=result.accuracy_interval,
        overconfidence=result.overconfidence,
        reliability=result.reliability,
        confidence_of_right=result.confidence_of_right.astype(kind),
        confidence_of_wrong=result.confidence_of_wrong.astype(kind),
        risk_coverage=_thinned(result.risk_coverage),
        at_confidence=result.at_confidence,
        at_threshold=result.at_threshold,
    )
    if sums is None:
        return replace(judgement, tested_error=sampled_error)
    test = calibration_test_of_sums(BinSums(*sums.fine), seed=seed)
    roc, precision_recall = _ranking_curves(sums)
    return replace(
        judgement,
        chance_interval=chance_interval(test),
        calibration_p_value=float(test.p_value),
        roc=roc,
        precision_recall=precision_recall,
    )


def _thinned(curve: RiskCoverageCurve) -> RiskCoverageCurve:
    some = spread(curve.coverage)
    return RiskCoverageCurve(*(part[some] for part in curve))


def _ranking_curves(sums: JudgementSums) -> tuple[RocCurve, PrecisionRecallCurve] | tuple[None, None]:
    """Return the curves of two classes by the rows in each cell of log-odds: each point is one of theirs."""
    if len(sums.classes) != 2:
        return None, None
    roc, curve = curves_of_cells(*sums.classes[1][:2])
    if roc is None or curve is None:
        return None, None
    points = spread((roc.true_positive_rate + roc.false_positive_rate) / 2)
    few = spread(curve.recall)
    return RocCurve(*(part[points] for part in roc)), PrecisionRecallCurve(*(part[few] for part in curve))


def _decided(sample: Decided, sums: DecisionSums, rows: int, confusions: Confusions) -> Decided:
    decided, (right, covered) = int(sums.actions.sum()), sums.right
    found = replace(
        sample,
        rows=rows,
        decided=decided,
        actions=tuple(
            ActionRows(one.name, count)
            for one, count in zip(sample.actions, sums.actions.tolist(), strict=False)
        ),
    )
    if sums.by_class.size:
        cells = np.flatnonzero(sums.by_class)
        counts, actions = sums.by_class[cells].astype(np.int64), len(sums.actions)
        by_class = DecisionsByClass.of_cells(cells, counts, actions)
        is_most_likely = sample.is_most_likely and by_class.equals(confusions)
        found = replace(found, by_class=by_class, is_most_likely=is_most_likely)
    if not sample.actions and decided:  # what is decided is a class
        found = replace(found, accuracy=right / decided, accuracy_interval=_interval(right, decided))
    if sample.set_sizes is not None:
        found = replace(
            found,
            set_sizes=sums.sizes.astype(np.int64),
            set_coverage=covered / rows,
            set_coverage_interval=_interval(covered, rows),
        )
    if sample.mean_cost is None:
        return found
    paid, squares, expected, without = (sums.costs / rows).tolist()
    interval = None
    if sample.cost_range is not None:
        error = np.sqrt(max(squares - paid**2, 0.0) / rows)
        low, high = cost_interval(paid, error, rows, sample.cost_range)
        interval = float(low), float(high)
    return replace(
        found,
        mean_cost=paid,
        expected_cost=expected,
        cost_interval=interval,
        cost_without_rule=None if sample.cost_without_rule is None else without,
    )


def _interval(hits: float, rows: int) -> tuple[float, float]:
    low, high = clopper_pearson(WeightedShare(np.array(hits / rows), np.array(rows)), _LEVEL)
    return float(low), float(high)
