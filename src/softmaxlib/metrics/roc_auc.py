"""Area under the ROC curve: how well scores tell a class from the others."""

from collections.abc import Iterator, Sequence

import numpy as np

from .._arrays import Array
from .._checks import check_choice
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._ranking import (
    RankedRows,
    areas_against_rest,
    average_areas,
    check_curve_average,
    class_scores,
    class_weights,
    rank_rows,
)
from .predictions import Floats, Predictions

COMPARISONS = ("ovr", "ovo")


@checked_keywords
@underflow_is_zero
def roc_auc(
    logits: Array,
    labels: Array,
    /,
    *,
    multi_class: str = "ovr",
    average: str = "macro",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the area under the receiver operating characteristic (ROC) curve.

    Larger is better, in [0, 1]. It is the probability that a random row of class 1 has a higher score than a
    random row of class 0, where equal scores count half. 0.5 is guessing. It depends on the order of the rows
    alone, so no calibration that keeps the order changes it.

    .. math:: P(s_i > s_j \mid y_i = 1, y_j = 0) + \tfrac{1}{2} P(s_i = s_j \mid y_i = 1, y_j = 0)

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    multi_class : {"ovr", "ovo"}, default "ovr"
        With more than two classes, "ovr" takes the area of each class against the rest. "ovo" takes each pair
        of classes, and of the rows of these two the mean of the areas by the probability of one and of the
        other.
    average : {"macro", "weighted"}, default "macro"
        With more than two classes, the mean of the areas, or their mean weighted by the rows of the class or
        pair.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    float
        NaN if all rows are of one class; a warning then says so.

    Raises
    ------
    InvalidInputError
        When `multi_class` or `average` is not one of those named, or an input breaks a rule of
        `softmaxlib.metrics`.

    Notes
    -----
    Classes without rows are left out, with a warning. Logits are ranked by the log-odds, so rows whose
    probabilities all round to 1 are still told apart.

    The same figure as scikit-learn's ``roc_auc_score``, which takes no weights with "ovo" and refuses labels
    that lack a class.

    References
    ----------
    Hanley, McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC) curve",
    Radiology 143 (1982); Hand, Till, "A simple generalisation of the area under the ROC curve for multiple
    class classification problems", Machine Learning 45 (2001).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.roc_auc([[0.0, 2.0], [0.0, 1.5], [0.0, -1.0], [0.0, 0.5]], [1, 0, 0, 1])
    0.75
    """
    check_choice(multi_class, "multi_class", COMPARISONS)
    check_curve_average(average)
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    rows = class_weights(predictions, "roc_auc")
    if np.count_nonzero(rows) < 2:
        return float("nan")
    if multi_class == "ovr" or rows.size == 2:
        areas = areas_against_rest(predictions, rows, area_under_roc)
    else:
        areas = _pairs(predictions, rows)
    return average_areas(areas, average)


def area_under_roc(ranked: RankedRows) -> float:
    """Return the share of (positive, negative) pairs that are in order. Equal scores count half."""
    above = np.cumsum(ranked.positive) - ranked.positive / 2
    pairs = ranked.positive.sum() * ranked.negative.sum()
    return float(min(above @ ranked.negative / pairs, 1.0))


def _pairs(predictions: Predictions, rows: Floats) -> Iterator[tuple[float, float]]:
    """Yield the area of each pair of classes, averaged over the scores of both."""
    of_class = [np.flatnonzero(predictions.labels == label) for label in range(rows.size)]
    for label, score in enumerate(class_scores(predictions)):
        for other, weight in enumerate(rows):
            if other != label and weight > 0 and rows[label] > 0:
                pair = np.concatenate([of_class[label], of_class[other]])
                ranked = rank_rows(score[pair], predictions.labels[pair] == label, predictions.weights[pair])
                # the mean of two areas of equal weight, so each may stand alone
                yield area_under_roc(ranked), float(rows[label] + weight)
