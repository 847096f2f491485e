"""Curves of one class against the rest over all thresholds: ROC, precision against recall, cost."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._arrays import Array
from .._checks import check_integer, check_positive
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from ._ranking import RankedRows, class_scores, positive_scores, rank_rows
from .predictions import Floats, Predictions


class RocCurve(NamedTuple):
    """One point for each distinct score, the strictest threshold first, after the point (0, 0).

    Attributes
    ----------
    false_positive_rate : ndarray, shape (points,)
        Share of the other rows whose probability of the class reaches the threshold.
    true_positive_rate : ndarray, shape (points,)
        Share of the rows of the class whose probability reaches it: the recall.
    threshold : ndarray, shape (points,)
        On the probability of the class; infinite at the first point.
    """

    false_positive_rate: Floats
    true_positive_rate: Floats
    threshold: Floats


class PrecisionRecallCurve(NamedTuple):
    """One point for each distinct score, the strictest threshold first.

    Attributes
    ----------
    precision : ndarray, shape (points,)
        Share of the rows whose probability reaches the threshold that are of the class.
    recall : ndarray, shape (points,)
        Share of the rows of the class whose probability reaches it.
    threshold : ndarray, shape (points,)
        On the probability of the class.
    """

    precision: Floats
    recall: Floats
    threshold: Floats


class CostThresholdCurve(NamedTuple):
    """One point for each distinct score, the strictest threshold first, after that which takes no row.

    Attributes
    ----------
    cost : ndarray, shape (points,)
        Mean cost of a row.
    threshold : ndarray, shape (points,)
        On the probability of the class; infinite at the first point.
    """

    cost: Floats
    threshold: Floats


@checked_keywords
@underflow_is_zero
def roc_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    class_index: int = 1,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> RocCurve:
    """Compute the receiver operating characteristic (ROC): recall against false alarms at every threshold.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    class_index : int, default 1
        The class that is told from the others; with two classes the second.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    RocCurve
        Rows of equal score are taken together, because no threshold separates them.

    Raises
    ------
    InvalidInputError
        When all rows or none are of the class, or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The same points as scikit-learn's ``roc_curve`` with ``drop_intermediate=False``. Logits are ranked by the
    log-odds, so rows whose probabilities all round to 1 are still told apart.

    References
    ----------
    Fawcett, "An introduction to ROC analysis", Pattern Recognition Letters 27 (2006).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> curve = metrics.roc_curve([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], probabilities=True)
    >>> curve.false_positive_rate.tolist(), curve.true_positive_rate.tolist()
    ([0.0, 0.0, 0.5, 0.5, 1.0], [0.0, 0.5, 0.5, 1.0, 1.0])
    """
    ranked = _ranked(logits, labels, class_index, class_names, sample_weight, probabilities)
    positive, negative = (np.append(0.0, np.cumsum(part)) for part in (ranked.positive, ranked.negative))
    threshold = np.append(np.inf, ranked.score)
    return in_kind_of(logits, RocCurve(negative / negative[-1], positive / positive[-1], threshold))


@checked_keywords
@underflow_is_zero
def precision_recall_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    class_index: int = 1,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> PrecisionRecallCurve:
    """Compute precision and recall at every threshold.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    class_index : int, default 1
        The class that is told from the others; with two classes the second.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    PrecisionRecallCurve
        Rows of equal score are taken together, because no threshold separates them.

    Raises
    ------
    InvalidInputError
        When all rows or none are of the class, or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The points of scikit-learn's ``precision_recall_curve`` in the opposite order, without the last one that
    it adds (precision 1, recall 0), which no threshold gives.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> curve = metrics.precision_recall_curve([0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0], probabilities=True)
    >>> curve.precision.round(2).tolist(), curve.recall.tolist()
    ([1.0, 0.5, 0.67, 0.5], [0.5, 0.5, 1.0, 1.0])
    """
    ranked = _ranked(logits, labels, class_index, class_names, sample_weight, probabilities)
    positive, taken = np.cumsum(ranked.positive), np.cumsum(ranked.positive + ranked.negative)
    return in_kind_of(logits, PrecisionRecallCurve(positive / taken, positive / positive[-1], ranked.score))


@checked_keywords
@underflow_is_zero
def cost_threshold_curve(
    logits: Array,
    labels: Array,
    /,
    *,
    false_positive: float,
    false_negative: float,
    class_index: int = 1,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> CostThresholdCurve:
    """Compute the mean cost of a row at every threshold.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    false_positive, false_negative : float
        What it costs to take a row for the class that is not of it, and to miss a row of the class.
    class_index : int, default 1
        The class that is told from the others; with two classes the second.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    CostThresholdCurve
        Rows of equal score are taken together, because no threshold separates them.

    Raises
    ------
    InvalidInputError
        When all rows or none are of the class, a cost is not finite and above 0, or an input breaks a rule of
        `softmaxlib.metrics`.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> scores, labels = [0.9, 0.8, 0.3, 0.1], [1, 0, 1, 0]
    >>> curve = metrics.cost_threshold_curve(
    ...     scores, labels, false_positive=1, false_negative=8, probabilities=True
    ... )
    >>> curve.cost.tolist(), curve.threshold.tolist()
    ([4.0, 2.0, 2.25, 0.25, 0.5], [inf, 0.9, 0.8, 0.3, 0.1])
    """
    advice = "give costs in a unit in which a mistake costs something"
    false_positive = check_positive(false_positive, "false_positive", advice)
    false_negative = check_positive(false_negative, "false_negative", advice)
    ranked = _ranked(logits, labels, class_index, class_names, sample_weight, probabilities)
    positive, negative = (np.append(0.0, np.cumsum(part)) for part in (ranked.positive, ranked.negative))
    total = false_negative * (positive[-1] - positive) + false_positive * negative
    cost = total / (positive[-1] + negative[-1])
    return in_kind_of(logits, CostThresholdCurve(cost, np.append(np.inf, ranked.score)))


def _ranked(
    logits: Array,
    labels: Array,
    class_index: int,
    class_names: Sequence[str] | None,
    sample_weight: Array | None,
    probabilities: bool,
) -> RankedRows:
    """Return the rows by their score for the class; the scores of the result are probabilities."""
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    classes = predictions.values.shape[1]
    class_index = check_integer(class_index, "class_index", lower=0, upper=classes - 1)
    of_class = predictions.labels == class_index
    weight = float(predictions.weights @ of_class)
    if not 0 < weight < predictions.weights.sum():
        amount = "every" if weight else "no"
        raise InvalidInputError(
            f"a curve tells class {class_index} from others, and {amount} row is of it; judge rows of "
            "several classes"
        )
    if classes == 2 and class_index == 1:
        score = positive_scores(predictions)
    else:
        score = next(one for index, one in enumerate(class_scores(predictions)) if index == class_index)
    ranked = rank_rows(score, of_class, predictions.weights)
    if probabilities:
        return ranked
    is_half_odds = classes == 2 and class_index == 1  # else the logarithm of the probability
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-2 * ranked.score)) if is_half_odds else np.exp(ranked.score)
    return ranked._replace(score=probability)
