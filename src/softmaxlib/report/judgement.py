"""One set of probabilities, judged: figures with their uncertainty, and the curves behind them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._text import brief_repr
from ..metrics import (
    PrecisionRecallCurve,
    ReliabilityCurve,
    RiskCoverageCurve,
    RocCurve,
    brier_score,
    precision_recall_curve,
    roc_curve,
)
from ..metrics._bins import column_sums, confidence_counts, find_confidence_sums
from ..metrics.bootstrap_interval import SUMS, Interval, intervals_of_sums
from ..metrics.calibration_error import EQUAL_EDGES
from ..metrics.calibration_test import CalibrationTest, calibration_test_of, fine_edges
from ..metrics.confidence_histogram import histogram_edges
from ..metrics.normal_mean import LEAST_ROWS
from ..metrics.operating_points import (
    AtConfidence,
    AtThreshold,
    at_confidence,
    at_threshold,
    confidence_stops,
    edges_at,
)
from ..metrics.predictions import Floats, Predictions
from ..metrics.reliability_curve import reliability_curve_of
from ..metrics.risk_coverage import DoubtGroups
from ..metrics.shares import clopper_pearson, effective_rows, weighted_share
from ..policy import Figures
from .counts import Counts

_CURVE_POINTS = 400


@dataclass(frozen=True, repr=False)
class Judgement:
    """Figures of some probabilities, with their uncertainty.

    Attributes
    ----------
    figures : Figures
        Accuracy, log loss, Brier score, calibration error.
    accuracy_interval : tuple of float
        95% interval of the accuracy (Clopper-Pearson; of weighted rows after Korn and Graubard).
    brier_interval : tuple of float
        95% interval of the Brier score (bootstrap); NaN for fewer than 30 effective rows.
    chance_interval : tuple of float
        Where the calibration error would lie in 95 of 100 cases were the probabilities exactly right:
        it is never 0 on finitely many rows.
    calibration_p_value : float
        Chance of a calibration error as large as found, were the probabilities exactly right.
    overconfidence : float
        Mean confidence minus accuracy; above 0 the model is too sure.
    reliability : ReliabilityCurve
        Accuracy against confidence in 15 bins.
    confidence_of_right, confidence_of_wrong : array of int (20,)
        Rows in 20 equal bins of confidence, or their weight, right and wrong ones apart.
    risk_coverage : RiskCoverageCurve
        At most 400 of its points.
    roc : RocCurve or None
        At most 400 of its points, for the second of two classes; None for more classes, or rows of one alone.
    precision_recall : PrecisionRecallCurve or None
        The same of precision and recall.
    at_confidence : AtConfidence
        What would be decided, and how well, if rows below a confidence were handed over.
    at_threshold : AtThreshold or None
        What would be found if rows were taken for the second of two classes from a probability on.
    tested_error : float or None
        The calibration error that the test judged, where that is of a sample of the rows; `chance_interval`
        is for it. None: it is that of the figures.
    """

    figures: Figures
    accuracy_interval: tuple[float, float]
    brier_interval: tuple[float, float]
    chance_interval: tuple[float, float]
    calibration_p_value: float
    overconfidence: float
    reliability: ReliabilityCurve
    confidence_of_right: Counts
    confidence_of_wrong: Counts
    risk_coverage: RiskCoverageCurve
    roc: RocCurve | None
    precision_recall: PrecisionRecallCurve | None
    at_confidence: AtConfidence
    at_threshold: AtThreshold | None
    tested_error: float | None = None

    __repr__ = brief_repr


def brier_intervals(of_rows: Sequence[Predictions], seed: int) -> list[Interval]:
    """Return the interval of the Brier score of several predictions of the same rows; NaN for too few."""
    scores = [(SUMS[brier_score](one), one.mean(one.figure("brier_score"))) for one in of_rows]
    found = intervals_of_sums(scores, len(of_rows[0].labels), seed=seed, weights=of_rows[0].weights)
    if effective_rows(of_rows[0].weights) >= LEAST_ROWS:
        return found
    return [one._replace(lower=np.nan, upper=np.nan) for one in found]


def judge(
    predictions: Predictions,
    brier: Interval,
    seed: int,
    least_confidence: float | None = None,
    threshold: float | None = None,
    further_edges: Sequence[Floats] = (),
) -> Judgement:
    """Judge logits by their labels, each row weighted by its weight.

    The least confidence that a policy decides, and its threshold on the second of two classes, are points of
    `at_confidence` and of `at_threshold`. What `confidence_sums` gives for further edges is found too.
    """
    at_stops = edges_at(confidence_stops(predictions.values.shape[1], least_confidence))
    counted = histogram_edges(predictions.values.dtype), at_stops
    find_confidence_sums(predictions, (EQUAL_EDGES, fine_edges(), *further_edges), counted)
    figures = Figures.of(predictions)
    test = calibration_test_of(predictions, seed=seed)
    right = weighted_share(predictions.figure("correct"), predictions.sample_weight)
    accuracy_low, accuracy_high = clopper_pearson(right, 0.95)
    of_right, of_wrong = confidence_histograms(predictions)
    curve = reliability_curve_of(predictions)
    roc, precision_recall = _ranking_curves(predictions)
    return Judgement(
        figures=figures,
        accuracy_interval=(float(accuracy_low), float(accuracy_high)),
        brier_interval=(brier.lower, brier.upper),
        chance_interval=chance_interval(test),
        calibration_p_value=float(test.p_value),
        overconfidence=float(np.average(curve.confidence - curve.frequency, weights=curve.weight)),
        reliability=curve,
        confidence_of_right=of_right,
        confidence_of_wrong=of_wrong,
        risk_coverage=DoubtGroups.of(predictions, predictions.figure("doubt"), _CURVE_POINTS).curve(),
        roc=roc,
        precision_recall=precision_recall,
        at_confidence=at_confidence(predictions, least_confidence),
        at_threshold=at_threshold(predictions, threshold),
    )


def chance_interval(test: CalibrationTest) -> tuple[float, float]:
    """Return the 95% range of the calibration error of exactly right probabilities."""
    low, high = np.quantile(test.null, [0.025, 0.975])
    return float(low), float(high)


def _ranking_curves(predictions: Predictions) -> tuple[RocCurve, PrecisionRecallCurve] | tuple[None, None]:
    labels, weights = predictions.labels, predictions.weights
    if predictions.values.shape[1] != 2 or np.unique(labels[weights > 0]).size < 2:
        return None, None
    rows = predictions.values, labels
    roc = roc_curve(*rows, sample_weight=predictions.sample_weight)
    curve = precision_recall_curve(*rows, sample_weight=predictions.sample_weight)
    some = spread((roc.true_positive_rate + roc.false_positive_rate) / 2)
    few = spread(curve.recall)
    return RocCurve(*(part[some] for part in roc)), PrecisionRecallCurve(*(part[few] for part in curve))


def spread(along: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the indices of points to keep, evenly spread over values that rise from 0 to 1, and the last."""
    if len(along) <= _CURVE_POINTS:
        return np.arange(len(along))
    place = np.searchsorted(along, np.linspace(0, 1, _CURVE_POINTS - 1))
    return np.unique(np.append(np.minimum(place, len(along) - 1), len(along) - 1))


def confidence_histograms(predictions: Predictions) -> tuple[Counts, Counts]:
    """Count right and wrong rows, or sum their weights, in 20 equal bins of confidence."""
    right, weights = predictions.figure("correct"), predictions.sample_weight
    edges = histogram_edges(predictions.values.dtype)
    if weights is None:
        rows, of_right = confidence_counts(predictions, edges).astype(np.int64)
        return of_right, rows - of_right
    _, _, *of_both = column_sums(edges, predictions.figure("confidence"), weights, right, ~right)
    return of_both[0], of_both[1]
