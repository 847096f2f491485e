"""The result of a tally from its sums."""

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from .._arrays import IntArray
from ._tally_bins import TallyBins
from ._tally_groups import differences_of_groups
from ._tally_settings import TallySettings
from ._tally_smooth import smooth_error_of_tally
from ._tally_stops import operating_points
from ._tally_sums import (
    BRIER,
    BRIER_OF_SQUARES,
    BRIER_SQUARED,
    CORRECT,
    HIT_SQUARES,
    INFINITE,
    LOSS,
    LOSS_OF_SQUARES,
    LOSS_SQUARED,
    OF_ALL,
    OF_BINS,
    OF_CLASSES,
    OF_DOUBTS,
    OF_PAIRS,
    OF_SCORES,
    OF_SMOOTH,
    SQUARES,
    WEIGHT,
    Sums,
    error_of_mean,
)
from ._tally_tests import calibration_test_of_tally, class_test_of_tally, curves_of_tally
from .aurc import area_of
from .cell_quantiles import LARGEST_CELL, CellQuantiles, doubts_of_cells, scores_of_cells
from .normal_mean import normal_interval, stretch_by_degrees
from .predictions import Floats
from .risk_coverage import DoubtGroups, RiskCoverageCurve
from .shares import clopper_pearson, share_of_sums
from .tally_decisions import decisions_of_tally
from .tally_mistakes import TallyMistake
from .tally_result import TallyResult

_LEVEL = 0.95


def result_of_sums(
    sums: Sums,
    *,
    rows: int,
    heaviest: float,
    settings: TallySettings,
    class_names: tuple[str, ...] | None,
    mistakes: tuple[TallyMistake, ...],
    groups: Mapping[str, tuple[TallyResult, Sums]],
) -> TallyResult:
    """Judge rows by their sums, and their groups by theirs."""
    figures, classes, tests = sums[OF_ALL], settings.classes, settings.tests
    weight = figures.exact(WEIGHT)
    infinite = figures.exact(INFINITE) > 0
    loss, brier = figures.exact(LOSS) / weight, figures.exact(BRIER) / weight
    bins = TallyBins(sums[OF_BINS], settings.n_bins)
    brier_error = error_of_mean(figures, brier, BRIER_OF_SQUARES, BRIER_SQUARED)
    accuracy = figures.exact(CORRECT) / weight
    doubts = _doubts(sums)
    pairs = {divmod(key, classes): sums[OF_PAIRS].exact(key) for key in sums[OF_PAIRS].known_keys()}
    truth, predicted = ([Fraction(0)] * classes for _ in range(2))
    for (one, other), count in pairs.items():
        truth[one] += count
        predicted[other] += count
    stated = np.array([float(sums[OF_CLASSES].exact(k) / weight) for k in range(classes)])
    observed = np.array([float(count / weight) for count in truth])
    accepted = np.cumsum(doubts.weight)
    best, worst = (area_of(_ordered(doubts, first)) for first in ("right", "wrong"))
    is_plain = heaviest == 1 and weight == rows  # no weights: a row is a row of evidence
    sums_of_share = [np.array(float(figures.exact(key))) for key in (WEIGHT, CORRECT, SQUARES, HIT_SQUARES)]
    stretch = 1.0 if is_plain else stretch_by_degrees(float(figures.exact(SQUARES)) / heaviest**2, rows)
    low, high = clopper_pearson(share_of_sums(*sums_of_share, rows=np.array(rows)), _LEVEL)
    roc, precision_recall = curves_of_tally(sums) if tests and classes == 2 else (None, None)
    results = {name: result for name, (result, _) in groups.items()}
    points = operating_points(sums, settings.stops)
    return TallyResult(
        rows=rows,
        weight=float(weight),
        effective_rows=float(weight**2 / figures.exact(SQUARES)),
        accuracy=float(accuracy),
        accuracy_interval=(float(low), float(high)),
        log_loss=np.inf if infinite else float(loss),
        log_loss_error=np.inf if infinite else error_of_mean(figures, loss, LOSS_OF_SQUARES, LOSS_SQUARED),
        brier_score=float(brier),
        brier_interval=normal_interval(float(brier), brier_error, rows, 0.0, 2.0, stretch),
        calibration_error=float(bins.error()),
        calibration_error_interval=bins.interval(_LEVEL, stretch),
        overconfidence=float(bins.overconfidence()),
        reliability=bins.curve(),
        bin_weight=bins.weight,
        bin_confidence=bins.confidence,
        bin_frequency=bins.frequency,
        class_weight=np.array(truth, dtype=np.float64),
        class_predicted=np.array(predicted, dtype=np.float64),
        class_probability=stated,
        confusion={pair: float(count) for pair, count in pairs.items()},
        _aurc=area_of(doubts),
        _aurc_bounds=(best, worst),
        risk_coverage=RiskCoverageCurve(
            accepted / accepted[-1], np.cumsum(doubts.mistakes) / accepted, doubts.doubt
        ),
        doubt=_quantiles(sums, OF_DOUBTS, doubts_of_cells),
        true_score=_quantiles(sums, OF_SCORES, scores_of_cells),
        heaviest=heaviest,
        calibration_test=calibration_test_of_tally(sums, not is_plain) if tests else None,
        class_test=class_test_of_tally(sums, stated, observed, not is_plain) if tests else None,
        confidence_of_right=None if points is None else points.of_right,
        confidence_of_wrong=None if points is None else points.of_wrong,
        at_confidence=None if points is None else points.at_confidence,
        at_threshold=None if points is None else points.at_threshold,
        roc=roc,
        precision_recall=precision_recall,
        smooth_calibration_error=smooth_error_of_tally(sums[OF_SMOOTH]) if OF_SMOOTH in sums else None,
        mistakes=mistakes,
        decisions=decisions_of_tally(sums, classes, heaviest),
        groups=results,
        differences=differences_of_groups(
            [of_group for _, of_group in groups.values()], [one.decisions for one in results.values()]
        ),
        class_names=class_names,
    )


def _doubts(sums: Sums) -> DoubtGroups:
    """Return the rows of each cell of doubt, the surest first."""
    found = sums[OF_DOUBTS]
    cells = [key for key in found.known_keys() if key < LARGEST_CELL]
    weight, mistakes = found.array(cells), found.array([LARGEST_CELL + cell for cell in cells])
    _, last = doubts_of_cells(np.array(cells, dtype=np.int64))
    return DoubtGroups(last, weight, mistakes)


def _quantiles(
    sums: Sums, name: str, bounds_of: Callable[[IntArray], tuple[Floats, Floats]]
) -> CellQuantiles:
    """Return quantiles over the rows of each cell below `LARGEST_CELL`."""
    cells = [key for key in sums[name].known_keys() if key < LARGEST_CELL]
    return CellQuantiles(*bounds_of(np.array(cells, dtype=np.int64)), sums[name].array(cells))


def _ordered(groups: DoubtGroups, first: str) -> DoubtGroups:
    """Split each cell into its right and its wrong rows, in either order."""
    right, wrong = groups.weight - groups.mistakes, groups.mistakes
    order = (right, wrong) if first == "right" else (wrong, right)
    weight = np.stack(order, axis=1).ravel()
    none = np.zeros_like(wrong)
    mistakes = np.stack((none, wrong) if first == "right" else (wrong, none), axis=1).ravel()
    kept = weight > 0
    return DoubtGroups(np.repeat(groups.doubt, 2)[kept], weight[kept], mistakes[kept])
