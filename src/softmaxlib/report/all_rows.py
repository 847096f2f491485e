"""An evaluation of a sample, with the figures of all rows it was drawn from."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .._all_rows import AllRows, Merged, RowBlock
from .._checks import known_logits
from ..calibration import Calibration
from ..metrics._bins import BinSums
from ..metrics.calibration_test import CalibrationTest, calibration_test_of_sums, fine_sums
from ..metrics.predictions import Predictions
from ..metrics.shares import WeightedShare, clopper_pearson
from ..metrics.tally_result import TallyResult
from ..policy import Audit, Figures
from .class_figures import class_figures
from .confusions import Confusions
from .evaluation import Evaluation
from .judgement import Judgement, chance_interval
from .verdict import give_verdict


class CalibrationTests(NamedTuple):
    """Calibration tests of all rows: of the logits as given, and after calibration if there is one."""

    before: CalibrationTest
    after: CalibrationTest | None


def calibration_tests(rows: AllRows, calibration: Calibration | None, seed: int) -> CalibrationTests | None:
    """Test the calibration of all rows, given as logits; return None if rows have weights."""
    if rows.is_weighted:
        return None
    merged = rows.merged(_calibration_sums, calibration).added
    parts = merged.reshape(-1, len(BinSums._fields), merged.size // (3 if calibration is None else 6))
    tests = [calibration_test_of_sums(BinSums(*sums), seed=seed) for sums in parts]
    return CalibrationTests(tests[0], tests[1] if len(tests) > 1 else None)


def _calibration_sums(block: RowBlock, calibration: Calibration | None) -> Merged:
    values = [block.values]
    if calibration is not None:
        with known_logits():
            values.append(calibration.transform(block.values))
    sums = [fine_sums(Predictions.of_logits(one, block.labels)) for one in values]
    return Merged(np.stack(sums).ravel())


def with_all_rows(
    evaluation: Evaluation,
    before: TallyResult,
    after: TallyResult | None,
    audit: Audit | None,
    tests: CalibrationTests | None,
) -> Evaluation:
    """Replace the figures, the audit and the calibration test of the sample by those of all rows.

    Accuracy with its interval, losses, calibration error with its test, overconfidence, confusions and the
    figures of the classes then describe all rows. With weights, the interval is that of `effective_rows`
    rows, and the test is that of the sample. All other tests, intervals and curves stay those of the
    sample. They remain valid because the sample was drawn uniformly.
    """
    effective = evaluation.effective_rows
    first, second = (None, None) if tests is None else tests
    judged = _with(evaluation.before, before, effective, first)
    final = None
    if evaluation.after is not None and after is not None:
        final = _with(evaluation.after, after, effective, second)
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


def _with(
    judgement: Judgement, result: TallyResult, effective: float | None, test: CalibrationTest | None
) -> Judgement:
    if test is not None:
        interval = chance_interval(test)
        judgement = replace(judgement, chance_interval=interval, calibration_p_value=float(test.p_value))
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
