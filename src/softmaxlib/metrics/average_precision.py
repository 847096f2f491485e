"""Average precision: precision over all thresholds, for a class that is rare."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._ranking import (
    RankedRows,
    areas_against_rest,
    average_areas,
    check_curve_average,
    class_weights,
)
from .predictions import Predictions


@checked_keywords
@underflow_is_zero
def average_precision(
    logits: Array,
    labels: Array,
    /,
    *,
    average: str = "macro",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the average precision: the mean precision over the rows of the class, as each is found.

    Larger is better, in [0, 1]. It summarises the precision-recall curve. Guessing gives the share of the
    class, so where class 1 is rare it says more than `roc_auc`. With the precision :math:`P_n` and the recall
    :math:`R_n` of the rows whose score is at least the n-th highest,

    .. math:: \sum_n (R_n - R_{n-1}) P_n

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    average : {"macro", "weighted"}, default "macro"
        With more than two classes, the mean of the figures of each class against the rest, or their mean
        weighted by the rows of the class.
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
        The figure of class 1 if there are two classes. NaN if all rows are of one class; a warning then says
        so.

    Raises
    ------
    InvalidInputError
        When `average` is not one of those named, or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    Classes without rows are left out, with a warning. Rows of equal score are found together. Nothing is
    interpolated between thresholds: straight lines between the points of a precision-recall curve promise too
    much.

    The same figure as scikit-learn's ``average_precision_score``, which gives 0 where no row is of class 1,
    and 1 where all are.

    References
    ----------
    Davis, Goadrich, "The relationship between precision-recall and ROC curves" (ICML 2006).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits = [[0.0, 2.0], [0.0, 1.5], [0.0, -1.0], [0.0, 0.5]]
    >>> round(metrics.average_precision(logits, [1, 0, 0, 1]), 6)
    0.833333
    """
    check_curve_average(average)
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    rows = class_weights(predictions, "average_precision")
    if np.count_nonzero(rows) < 2:
        return float("nan")
    return average_areas(areas_against_rest(predictions, rows, precision_over_recall), average)


def precision_over_recall(ranked: RankedRows) -> float:
    """Return the precision at each score, weighted by the positive rows that have it."""
    found = np.cumsum(ranked.positive)
    precision = found / (found + np.cumsum(ranked.negative))
    return float(min(precision @ ranked.positive / found[-1], 1.0))
