"""One set of probabilities, judged: figures with their uncertainty, and the curves behind them."""

from dataclasses import dataclass

import numpy as np

from ..metrics import ReliabilityCurve, RiskCoverageCurve, brier_score
from ..metrics.bootstrap_interval import SUMS, interval_of_sums
from ..metrics.calibration_test import calibration_test_of
from ..metrics.predictions import Predictions
from ..metrics.reliability_curve import reliability_curve_of
from ..metrics.risk_coverage import DoubtGroups
from ..metrics.shares import clopper_pearson, weighted_share
from ..policy import Figures
from .counts import Counts

_HISTOGRAM_BINS = 20
_CURVE_POINTS = 400


@dataclass(frozen=True)
class Judgement:
    """How good some probabilities are, and how surely that is known.

    Attributes
    ----------
    figures : Figures
        Accuracy, log loss, Brier score, calibration error.
    accuracy_interval : tuple of float
        95% interval of the accuracy (Clopper-Pearson; of weighted rows after Korn and Graubard).
    brier_interval : tuple of float
        95% interval of the Brier score (bootstrap).
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


def judge(predictions: Predictions, seed: int) -> Judgement:
    """Judge logits by their labels, each row as often as its weight."""
    figures = Figures.of(predictions)
    test = calibration_test_of(predictions, seed=seed)
    brier = interval_of_sums(SUMS[brier_score](predictions), predictions, figures.brier_score, seed=seed)
    right = weighted_share(predictions.figure("correct"), predictions.sample_weight)
    accuracy_low, accuracy_high = clopper_pearson(right, 0.95)
    of_right, of_wrong = confidence_histograms(predictions)
    curve = reliability_curve_of(predictions)
    low, high = np.quantile(test.null, [0.025, 0.975])
    return Judgement(
        figures=figures,
        accuracy_interval=(float(accuracy_low), float(accuracy_high)),
        brier_interval=(brier.lower, brier.upper),
        chance_interval=(float(low), float(high)),
        calibration_p_value=float(test.p_value),
        overconfidence=float(np.average(curve.confidence - curve.frequency, weights=curve.weight)),
        reliability=curve,
        confidence_of_right=of_right,
        confidence_of_wrong=of_wrong,
        risk_coverage=DoubtGroups.of(predictions, predictions.figure("doubt"), _CURVE_POINTS).curve(),
    )


def confidence_histograms(predictions: Predictions) -> tuple[Counts, Counts]:
    """Rows in 20 equal bins of confidence, or their weight: right ones, wrong ones."""
    # rounded as the rows are: 0.95 of float32 is the edge of a bin
    confidence = predictions.figure("confidence").astype(predictions.values.dtype)
    bins = np.minimum((confidence * _HISTOGRAM_BINS).astype(np.int64), _HISTOGRAM_BINS - 1)
    bins += _HISTOGRAM_BINS * predictions.figure("correct")
    counts = np.bincount(bins, predictions.sample_weight, 2 * _HISTOGRAM_BINS)
    return counts[_HISTOGRAM_BINS:], counts[:_HISTOGRAM_BINS]
