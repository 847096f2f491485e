"""Log loss: minus the mean log probability of the true class."""

import numpy as np

from .._arrays import Array
from .._warn import warn_user
from ..losses import cross_entropy
from ._predictions import Floats, Predictions, row_blocks


def log_loss(
    logits: Array, labels: Array, /, *, sample_weight: Array | None = None, from_probabilities: bool = False
) -> float:
    r"""Compute the log loss (negative log-likelihood, cross-entropy), in nats.

    Smaller is better. 0 is perfect, log(classes) is the score of the uniform guess, and there is no upper
    limit. It is a proper score: on average, no probabilities score better than the true ones.

    .. math:: -\frac{1}{\sum_i w_i} \sum_i w_i \log p_{i, y_i}

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    from_probabilities : bool, default False
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
    predictions = Predictions.check(logits, labels, sample_weight, from_probabilities)
    return predictions.mean(row_log_losses(predictions))


def row_log_losses(predictions: Predictions) -> Floats:
    """The log loss of each row."""
    losses = np.empty(predictions.labels.size)
    if predictions.from_probabilities:
        of_label = np.take_along_axis(predictions.values, predictions.labels[:, None], axis=1)[:, 0]
        _warn_of_zeros(of_label)
        with np.errstate(divide="ignore"):
            return -np.log(of_label.astype(np.float64))
    for rows in row_blocks(predictions.values):
        block = predictions.values[rows].astype(np.float64)
        losses[rows] = cross_entropy(block, predictions.labels[rows], reduction="none")
    return losses


def _warn_of_zeros(of_label: np.ndarray) -> None:
    zeros = np.flatnonzero(of_label == 0)
    if zeros.size:
        warn_user(
            f"log loss is infinite: {zeros.size} of {of_label.size} rows give the true class probability 0 "
            f"(the first is row {zeros[0]}); pass logits, or probabilities that were not rounded to 0"
        )
