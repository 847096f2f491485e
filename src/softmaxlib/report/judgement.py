"""One set of probabilities, judged: figures with their uncertainty, and the curves behind them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray, IntArray
from ..activations import softmax
from ..metrics import (
    ReliabilityCurve,
    RiskCoverageCurve,
    bootstrap_interval,
    brier_score,
    calibration_test,
    reliability_curve,
    risk_coverage_curve,
)
from ..metrics.shares import clopper_pearson, weighted_share
from ..policy import Figures
from ..policy.record import Weights
from .counts import Counts

_HISTOGRAM_BINS = 20
_CURVE_POINTS = 400
_SIMULATIONS = 1000


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


def judge(logits: FloatArray, labels: IntArray, weights: Weights | None, seed: int) -> Judgement:
    """Judge logits (rows, classes) by their labels (rows,), each row as often as its weight."""
    figures = Figures.of(logits, labels, weights)
    test = calibration_test(logits, labels, simulations=_SIMULATIONS, seed=seed, sample_weight=weights)
    brier = bootstrap_interval(brier_score, logits, labels, seed=seed, sample_weight=weights)
    right = weighted_share(logits.argmax(axis=1) == labels, weights)
    accuracy_low, accuracy_high = clopper_pearson(right, 0.95)
    of_right, of_wrong = confidence_histograms(logits, labels, weights)
    curve = reliability_curve(logits, labels, sample_weight=weights)
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
        risk_coverage=_thinned(risk_coverage_curve(logits, labels, sample_weight=weights)),
    )


def confidence_histograms(
    values: FloatArray, labels: IntArray, weights: Weights | None, from_probabilities: bool = False
) -> tuple[Counts, Counts]:
    """Rows in 20 equal bins of confidence, or their weight: right ones, wrong ones."""
    confidence = (values if from_probabilities else softmax(values)).max(axis=1)
    right = values.argmax(axis=1) == labels
    bins = np.minimum((confidence * _HISTOGRAM_BINS).astype(np.int64), _HISTOGRAM_BINS - 1)

    def counts(some: npt.NDArray[np.bool_]) -> Counts:
        return np.bincount(bins[some], None if weights is None else weights[some], _HISTOGRAM_BINS)

    return counts(right), counts(~right)


def _thinned(curve: RiskCoverageCurve) -> RiskCoverageCurve:
    """Points evenly spread over coverage, the last always among them."""
    if len(curve.coverage) <= _CURVE_POINTS:
        return curve
    wanted = np.linspace(0, 1, _CURVE_POINTS)
    index = np.unique(np.minimum(np.searchsorted(curve.coverage, wanted), len(curve.coverage) - 1))
    return RiskCoverageCurve(*(part[index] for part in curve))
