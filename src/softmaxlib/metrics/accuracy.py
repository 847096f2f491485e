"""Accuracy, and accuracy among the k most likely classes."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._checks import check_integer
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from .predictions import Predictions, row_blocks


@checked_keywords
@underflow_is_zero
def accuracy(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the share of rows whose most likely class is the true one.

    Larger is better, in [0, 1]. If several classes share the highest value, the first of them is
    predicted, as by `numpy.argmax`.

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i [\arg\max_k z_{ik} = y_i]

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
    float
        In [0, 1].

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    The same figure as scikit-learn's ``accuracy_score`` of the predicted classes. torchmetrics'
    ``MulticlassAccuracy`` averages the recall of the classes; with ``average="micro"`` it gives this figure.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.accuracy([[2.0, 0.0], [0.0, 1.0]], [0, 0])
    0.5
    """
    predictions = Predictions.check(
        logits, labels, sample_weight, probabilities, "correct", class_names=class_names
    )
    return predictions.mean(predictions.figure("correct"))


@checked_keywords
@underflow_is_zero
def top_k_accuracy(
    logits: Array,
    labels: Array,
    /,
    *,
    k: int = 5,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    """Compute the share of rows whose true class is among the `k` most likely.

    Larger is better, in [0, 1]. Classes of the same value are ranked by their number, the lower one first.
    So ``k=1`` is `accuracy`, and ``k=classes`` is 1.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    k : int, default 5
        Number of most likely classes, from 1 to the number of classes.
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
        In [0, 1].

    Raises
    ------
    InvalidInputError
        When `k` is out of range or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    scikit-learn's ``top_k_accuracy_score`` and torchmetrics' ``MulticlassAccuracy(top_k=k,
    average="micro")`` rank classes of the same value in another order, or by chance. The figure is the same
    where no class has the value of the true one.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.top_k_accuracy([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], [1, 2], k=2)
    0.5
    """
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    classes = predictions.values.shape[1]
    k = check_integer(k, "k", lower=1, upper=classes)
    return predictions.mean(label_ranks(predictions) < k)


def label_ranks(predictions: Predictions) -> npt.NDArray[np.int64]:
    """Return the number of classes ranked before the true one in each row."""
    ranks = np.empty(predictions.labels.size, np.int64)
    columns = np.arange(predictions.values.shape[1])
    for rows in row_blocks(predictions.values):
        block, labels = predictions.values[rows], predictions.labels[rows, None]
        of_label = np.take_along_axis(block, labels, axis=1)
        before = (block > of_label) | ((block == of_label) & (columns < labels))
        ranks[rows] = before.sum(axis=1)
    return ranks
