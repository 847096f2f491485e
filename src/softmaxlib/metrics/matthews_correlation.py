"""Matthews correlation: how far predictions and labels go together, chance being 0."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._class_counts import ClassCounts, count_classes
from ._undefined import warn_of_figure
from .predictions import Floats, Predictions


@checked_keywords
@underflow_is_zero
def matthews_correlation(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the Matthews correlation coefficient of the predicted classes and the labels.

    Larger is better, in [-1, 1]. 1 is perfect, and 0 is what guessing gives, whatever the share of each
    class. The first of the highest classes is predicted, as by `numpy.argmax`. With the weight :math:`c` of
    the right rows, :math:`s` of all, :math:`p_k` of those predicted as class k and :math:`t_k` of those of
    class k,

    .. math:: \frac{c s - \sum_k p_k t_k}{\sqrt{(s^2 - \sum_k p_k^2)(s^2 - \sum_k t_k^2)}}

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
        In [-1, 1].

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    Where all rows are of one class or are predicted as one, the figure is 0, and a warning says so.
    The same figure as scikit-learn's ``matthews_corrcoef`` of the predicted classes.

    References
    ----------
    B. W. Matthews, "Comparison of the predicted and observed secondary structure of T4 phage lysozyme",
    Biochimica et Biophysica Acta 405 (1975); J. Gorodkin, "Comparing two K-category assignments by a
    K-category correlation coefficient", Computational Biology and Chemistry 28 (2004).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits = [[2.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 1.0]]
    >>> round(metrics.matthews_correlation(logits, [0, 0, 1, 1]), 6)
    0.57735
    """
    counts = count_classes(
        Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    )
    for weights, rows in ((counts.actual, "is of"), (counts.predicted, "is predicted as")):
        if np.count_nonzero(weights) == 1:
            warn_of_figure(
                f"matthews_correlation counts as 0: every row {rows} class {np.argmax(weights)}, so there is "
                "nothing to correlate; judge rows of several classes"
            )
    return float(matthews_correlation_of(counts))


def matthews_correlation_of(counts: ClassCounts) -> Floats:
    """Return the figure of each of many counts, shape (...)."""
    # each by its own sum, so that the only class there is has a share of exactly 1
    predicted, actual = (
        part / part.sum(axis=-1, keepdims=True) for part in (counts.predicted, counts.actual)
    )
    hits = counts.hits.sum(axis=-1) / counts.actual.sum(axis=-1)
    covariance = hits - (predicted * actual).sum(axis=-1)
    spread = _varies(predicted) * _varies(actual)
    figure = np.divide(covariance, np.sqrt(spread), out=np.zeros(spread.shape), where=spread > 0)
    return np.clip(figure, -1, 1)


def _varies(shares: Floats) -> Floats:
    """Compute 1 minus the sum of squared shares, exactly 0 where one class has them all."""
    return (shares * (1 - shares)).sum(axis=-1)
