"""Balanced accuracy: every class counts alike, however rare it is."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._class_counts import ClassCounts, count_classes, share
from ._undefined import warn_of_figure
from .predictions import Floats, Predictions


@checked_keywords
@underflow_is_zero
def balanced_accuracy(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the balanced accuracy: the mean of the recall of each class.

    Larger is better, in [0, 1]. A model that always predicts the same class has 1 / classes, also where that
    class is nearly every row. The first of the highest classes is predicted, as by `numpy.argmax`.

    .. math:: \frac{1}{K} \sum_k \frac{TP_k}{TP_k + FN_k}

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
    Classes without rows are left out. A warning says so if some row is predicted as such a class.
    The same figure as scikit-learn's ``balanced_accuracy_score`` of the predicted classes.

    References
    ----------
    Brodersen, Ong, Stephan, Buhmann, "The balanced accuracy and its posterior distribution" (ICPR 2010).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.balanced_accuracy([[2.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 1.0]], [0, 0, 1, 1])
    0.75
    """
    counts = count_classes(
        Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    )
    missing = np.flatnonzero((counts.actual == 0) & (counts.predicted > 0))
    if missing.size:
        warn_of_figure(
            f"balanced_accuracy leaves out class {missing[0]}: rows are predicted as it, but none is of it; "
            "judge rows of every class"
        )
    return float(balanced_accuracy_of(counts))


def balanced_accuracy_of(counts: ClassCounts) -> Floats:
    """Return the figure of each of many counts, shape (...)."""
    return share(counts.hits, counts.actual).sum(axis=-1) / (counts.actual > 0).sum(axis=-1)
