"""One set of probabilities, judged: figures with their uncertainty, and the curves behind them."""

from dataclasses import dataclass

import numpy as np

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
from ..policy import Figures

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
        95% interval of the accuracy (Clopper-Pearson).
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
        Rows in 20 equal bins of confidence, right and wrong ones apart.
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
    confidence_of_right: IntArray
    confidence_of_wrong: IntArray
    risk_coverage: RiskCoverageCurve


def judge(logits: FloatArray, labels: IntArray, seed: int) -> Judgement:
    """Judge logits (rows, classes) by their labels (rows,)."""
    figures = Figures.of(logits, labels)
    test = calibration_test(logits, labels, simulations=_SIMULATIONS, seed=seed)
    brier = bootstrap_interval(brier_score, logits, labels, seed=seed)
    hits = int((logits.argmax(axis=1) == labels).sum())
    of_right, of_wrong = confidence_histograms(logits, labels)
    curve = reliability_curve(logits, labels)
    low, high = np.quantile(test.null, [0.025, 0.975])
    return Judgement(
        figures=figures,
        accuracy_interval=_proportion_interval(hits, len(labels)),
        brier_interval=(brier.lower, brier.upper),
        chance_interval=(float(low), float(high)),
        calibration_p_value=float(test.p_value),
        overconfidence=float(np.average(curve.confidence - curve.frequency, weights=curve.weight)),
        reliability=curve,
        confidence_of_right=of_right,
        confidence_of_wrong=of_wrong,
        risk_coverage=_thinned(risk_coverage_curve(logits, labels)),
    )


def confidence_histograms(
    values: FloatArray, labels: IntArray, from_probabilities: bool = False
) -> tuple[IntArray, IntArray]:
    """Rows in 20 equal bins of confidence: right ones, wrong ones."""
    confidence = (values if from_probabilities else softmax(values)).max(axis=1)
    right = values.argmax(axis=1) == labels
    bins = np.minimum((confidence * _HISTOGRAM_BINS).astype(np.int64), _HISTOGRAM_BINS - 1)
    return (
        np.bincount(bins[right], minlength=_HISTOGRAM_BINS),
        np.bincount(bins[~right], minlength=_HISTOGRAM_BINS),
    )


def _thinned(curve: RiskCoverageCurve) -> RiskCoverageCurve:
    """Points evenly spread over coverage, the last always among them."""
    if len(curve.coverage) <= _CURVE_POINTS:
        return curve
    wanted = np.linspace(0, 1, _CURVE_POINTS)
    index = np.unique(np.minimum(np.searchsorted(curve.coverage, wanted), len(curve.coverage) - 1))
    return RiskCoverageCurve(*(part[index] for part in curve))


def _proportion_interval(hits: int, rows: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(hits, rows).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)
