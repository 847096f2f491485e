"""Log loss: minus the mean log probability of the true class."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from .._warn import warn_user
from .predictions import Floats, Predictions


@checked_keywords
@underflow_is_zero
def log_loss(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the log loss (negative log-likelihood, cross-entropy), in nats.

    Smaller is better. 0 is perfect, log(classes) is the score of the uniform guess, and there is no upper
    limit. It is a proper score: on average, no probabilities score better than the true ones.

    .. math:: -\frac{1}{\sum_i w_i} \sum_i w_i \log p_{i, y_i}

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
        Whether `logits` holds probabilities. They are used as given, without renormalizing.

    Returns
    -------
    float
        Infinite if a true class has probability exactly 0; a warning then says in how many rows.

    Raises
    ------
    InvalidInputError
        When an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    Logits keep every digit: a row that is right with probability 1 - 1e-30 costs 1e-30.
    scikit-learn's ``log_loss`` takes probabilities only and raises those below 2.2e-16, the float's epsilon,
    to that number: the same figure where no true class has a smaller probability. probmetrics' ``LogLoss``
    is the same; its ``ClippedLogLoss`` raises probabilities to 1e-6.

    References
    ----------
    I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14 (1952).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> round(metrics.log_loss([[2.0, 0.0], [0.0, 1.0]], [0, 0]), 6)
    0.720095
    """
    predictions = Predictions.check(
        logits, labels, sample_weight, probabilities, "log_loss", class_names=class_names
    )
    return predictions.mean(row_log_losses(predictions))


def row_log_losses(predictions: Predictions) -> Floats:
    """Return the log loss of each row."""
    losses = predictions.figure("log_loss")
    if predictions.are_probabilities:
        _warn_of_zeros(losses)
    return losses


def _warn_of_zeros(losses: Floats) -> None:
    zeros = np.flatnonzero(np.isinf(losses))
    if zeros.size:
        warn_user(
            f"log loss is infinite: {zeros.size} of {losses.size} rows give the true class probability 0 "
            f"(the first is row {zeros[0]}); pass logits, or probabilities that were not rounded to 0"
        )
