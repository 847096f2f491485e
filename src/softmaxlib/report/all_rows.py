"""An evaluation of a sample, with the figures of all rows it was drawn from."""

from dataclasses import replace

import numpy as np

from ..metrics.shares import WeightedShare, clopper_pearson
from ..metrics.tally_result import TallyResult
from ..policy import Audit, Figures
from .class_figures import class_figures
from .confusions import Confusions
from .evaluation import Evaluation
from .judgement import Judgement
from .verdict import give_verdict


def with_all_rows(
    evaluation: Evaluation, before: TallyResult, after: TallyResult | None, audit: Audit | None
) -> Evaluation:
    """Put the figures of all rows in the place of those of the sample, and their audit.

    Accuracy with its interval, losses, calibration error, overconfidence, confusions and the classes are of
    all rows then; with weights, the interval is that of `effective_rows` rows. Tests, other intervals and
    curves stay those of the sample: they hold as they are, because it was drawn uniformly.
    """
    effective = evaluation.effective_rows
    judged = _with(evaluation.before, before, effective)
    final = None if evaluation.after is None or after is None else _with(evaluation.after, after, effective)
    known = after or before
    names = evaluation.class_names
    pairs = sorted(known.confusion)
    confusions = Confusions(
        np.array([truth for truth, _ in pairs]),
        np.array([predicted for _, predicted in pairs]),
        np.array([known.confusion[pair] for pair in pairs], np.int64 if effective is None else np.float64),
    )
    return replace(
        evaluation,
        rows=known.rows,
        sampled_rows=evaluation.rows,
        before=judged,
        after=final,
        confusions=confusions,
        audit=audit,
        classes=class_figures(names, confusions, known.class_probability.tolist()),
        verdict=give_verdict(
            judged,
            final,
            evaluation.class_calibration,
            evaluation.decided,
            audit,
            evaluation.groups,
            effective,
        ),
    )


def _with(judgement: Judgement, result: TallyResult, effective: float | None) -> Judgement:
    rows = result.rows if effective is None else effective
    low, high = clopper_pearson(WeightedShare(np.array(result.accuracy), np.array(rows)), 0.95)
    return replace(
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
