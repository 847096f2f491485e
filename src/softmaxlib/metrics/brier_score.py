"""Brier score: squared distance between the probabilities and the outcome."""

from collections.abc import Sequence

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from .predictions import Floats, Predictions


@checked_keywords
@underflow_is_zero
def brier_score(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the Brier score over all classes.

    Smaller is better. 0 is perfect, 2 is the worst: certain and wrong. It is a proper score. Unlike the log
    loss, it stays finite for a confident mistake.

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i \sum_k (p_{ik} - [y_i = k])^2

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
        In [0, 2].

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    This is Brier's own definition: the sum over all classes, also for two classes. scikit-learn's
    ``brier_score_loss`` gives the same for three or more classes and half of it for two, where
    ``scale_by_half=False`` gives this figure. probmetrics' ``BrierLoss`` is the same, also for two classes.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> round(metrics.brier_score([[0.75, 0.25], [0.5, 0.5]], [0, 0], probabilities=True), 6)
    0.3125
    """
    predictions = Predictions.check(
        logits, labels, sample_weight, probabilities, "brier_score", class_names=class_names
    )
    return predictions.mean(row_brier_scores(predictions))


def row_brier_scores(predictions: Predictions) -> Floats:
    """Return the Brier score of each row."""
    return predictions.figure("brier_score")
