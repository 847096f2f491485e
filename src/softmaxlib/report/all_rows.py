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
from ..metrics.normal_mean import normal_interval
from ..metrics.predictions import Floats
from ..metrics.shares import WeightedShare, clopper_pearson
from ..metrics.tally_result import TallyResult
from ..policy import Audit, Figures
from .class_calibration import judge_class_test
from .class_figures import class_figures
from .confusions import Confusions
from .decided import ActionRows, Decided
from .evaluation import Evaluation
from .judgement import Judgement, chance_interval, spread
from .operating_points import AtConfidence, AtThreshold, Shares, shares
from .row_sums import MOST_CLASSES, Counting, DecisionSums, JudgementSums, RowSums, Stops
from .verdict import give_verdict

_LEVEL = 0.95


def with_all_rows(
    evaluation: Evaluation,
    before: TallyResult,
    after: TallyResult | None,
    sums: RowSums | None,
    counting: Counting,
    audit: Audit | None,
    seed: int,
) -> Evaluation:
    """Put what is known of all rows in the place of what the sample says; `sampled` names the rest.

    There are no `sums` where rows have weights. Intervals, tests, curves and decisions are those of the
    sample then, but the interval of the accuracy is that of `effective_rows` rows.
    """
    effective = evaluation.effective_rows
    judged = _with(
        evaluation.before, before, None if sums is None else sums.before, counting.before, effective, seed
    )
    final = None
    if evaluation.after is not None and after is not None:
        final = _with(
            evaluation.after, after, None if sums is None else sums.after, counting.after, effective, seed
        )
    known = after or before
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
            decided = _decided(decided, sums.decided, known.rows)
    return replace(
        evaluation,
        rows=known.rows,
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
        parts = ["intervals", "tests", "curves"]
        if evaluation.decided is not None:
            parts.append("decisions")
    else:
        parts = ["interval of the Brier score"]
        if len(evaluation.class_names) > MOST_CLASSES:
            parts.append("tests of the classes")
        decided = evaluation.decided
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
    stops: Stops,
    effective: float | None,
    seed: int,
) -> Judgement:
    rows = result.rows if effective is None else effective
    low, high = clopper_pearson(WeightedShare(np.array(result.accuracy), np.array(rows)), _LEVEL)
    judgement = replace(
        judgement,
        figures=Figures(
            rows=result.rows,
            accuracy=result.accuracy,
            log_loss=result.log_loss,
            log_loss_error=result.log_loss_error,
            brier_score=result.brier_score,
            calibration_error=result.calibration_error,
        ),
        accuracy_interval=(float(low), float(high)),
        overconfidence=result.overconfidence,
    )
    if sums is None:
        return judgement
    test = calibration_test_of_sums(BinSums(*sums.fine), seed=seed)
    right, wrong = sums.histograms.astype(np.int64)
    roc, precision_recall = _ranking_curves(sums)
    return replace(
        judgement,
        chance_interval=chance_interval(test),
        calibration_p_value=float(test.p_value),
        reliability=result.reliability,
        confidence_of_right=right,
        confidence_of_wrong=wrong,
        risk_coverage=_thinned(result.risk_coverage),
        roc=roc,
        precision_recall=precision_recall,
        at_confidence=_at_confidence(stops.confidence, sums.of_confidence, result.rows),
        at_threshold=None
        if judgement.at_threshold is None
        else _at_threshold(stops.threshold, sums.of_threshold),
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


def _at_confidence(stops: Floats, counts: Floats, rows: int) -> AtConfidence:
    some = counts[0] > 0
    decided, right = counts[:, some]
    return AtConfidence(stops[some], decided / rows, _shares(decided, right))


def _at_threshold(stops: Floats, counts: Floats) -> AtThreshold:
    others, found = counts
    taken, every = others + found, counts[:, 0]  # the first threshold is 0
    return AtThreshold(
        threshold=stops,
        taken=taken / every.sum(),
        recall=_shares(np.full(stops.size, every[1]), found),
        precision=_shares(taken, found),
        false_positive_rate=_shares(np.full(stops.size, every[0]), others),
    )


def _shares(rows: Floats, hits: Floats) -> Shares:
    return shares(rows, hits, rows, hits, rows)


def _decided(sample: Decided, sums: DecisionSums, rows: int) -> Decided:
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
    interval = normal_interval(paid, np.sqrt(max(squares - paid**2, 0.0) / rows), rows)
    return replace(
        found,
        mean_cost=paid,
        expected_cost=expected,
        cost_interval=None if sample.cost_interval is None else interval,
        cost_without_rule=None if sample.cost_without_rule is None else without,
    )


def _interval(hits: float, rows: int) -> tuple[float, float]:
    low, high = clopper_pearson(WeightedShare(np.array(hits / rows), np.array(rows)), _LEVEL)
    return float(low), float(high)
