"""The Brier score split into the part that calibration could remove and the rest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._bins import group_sums
from .brier_score import row_brier_scores
from .predictions import Floats, Predictions, weighted_mean


class BrierDecomposition(NamedTuple):
    """``score = calibration + refinement`` and ``refinement = uncertainty - resolution``.

    Attributes
    ----------
    score : float
        The Brier score.
    calibration : float
        What recalibrating each class would gain: 0 for a calibrated model, never negative.
    refinement : float
        The score after recalibration.
    resolution : float
        How much better the recalibrated probabilities score than the class frequencies; larger is better.
    uncertainty : float
        The score of the class frequencies.
    """

    score: float
    calibration: float
    refinement: float
    resolution: float
    uncertainty: float


@checked_keywords
@underflow_is_zero
def brier_decomposition(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> BrierDecomposition:
    r"""Split the Brier score into calibration and refinement.

    Each class against the rest is recalibrated by isotonic regression, the best monotone function of its
    probability. With p the stated and c the recalibrated probabilities,

    .. math:: \text{calibration} = S(p) - S(c), \qquad \text{refinement} = S(c)

    where S is the mean of the squared differences to the outcomes, summed over the classes.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    BrierDecomposition

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The split is exact and has no bins; Murphy's binned split leaves a remainder. The recalibration is fitted
    to the rows it is judged on, so `calibration` is somewhat too large for few rows. The recalibrated
    probabilities of a row need not sum to 1. For one class the parts are those of
    model-diagnostics' ``decompose`` with its ``SquaredError`` (miscalibration, discrimination, uncertainty);
    here they are summed over the classes. probmetrics recalibrates all classes at once, with
    cross-validation: its parts differ, the sum does not.

    References
    ----------
    Dimitriadis, Gneiting, Jordan, "Stable reliability diagrams for probabilistic classifiers", PNAS 118
    (2021); Murphy, "A new vector partition of the probability score", Journal of Applied Meteorology 12
    (1973).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities = np.tile([0.8, 0.2], (10, 1))
    >>> split = metrics.brier_decomposition(probabilities, [0] * 7 + [1] * 3, probabilities=True)
    >>> round(split.calibration, 6), round(split.refinement, 6)
    (0.02, 0.42)
    """
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    counts = predictions.weights > 0
    weights = predictions.weights[counts]
    refinement = uncertainty = 0.0
    for label, probability in enumerate(predictions.columns()):
        outcome = (predictions.labels == label)[counts]
        refinement += _recalibrated_score(probability[counts], outcome, weights)
        frequency = weighted_mean(outcome, weights)
        uncertainty += frequency * (1 - frequency)
    score = predictions.mean(row_brier_scores(predictions))
    calibration = max(score - refinement, 0.0)
    return BrierDecomposition(score, calibration, refinement, uncertainty - refinement, uncertainty)


def _recalibrated_score(probability: Floats, outcome: np.ndarray, weights: Floats) -> float:
    """Return the mean squared error after isotonic regression, equal probabilities pooled."""
    from scipy.optimize import isotonic_regression

    weight, hits = _pooled(probability, outcome, weights)
    rate = hits / weight
    recalibrated = isotonic_regression(rate, weights=weight).x
    return weighted_mean(rate * (1 - recalibrated) ** 2 + (1 - rate) * recalibrated**2, weight)


def _pooled(probability: Floats, outcome: np.ndarray, weights: Floats) -> tuple[Floats, Floats]:
    """Return the weight at each distinct probability, in rising order, and the part that turned out true."""
    if weights.min() == weights.max():  # sorting numbers is several times faster than finding their order
        distinct, rows = np.unique(probability, return_counts=True)
        place = np.searchsorted(distinct, np.sort(probability[outcome]))
        return rows.astype(np.float64), np.bincount(place, minlength=distinct.size).astype(np.float64)
    distinct, group = np.unique(probability, return_inverse=True)
    return group_sums(group, distinct.size, weights), group_sums(group, distinct.size, weights * outcome)
