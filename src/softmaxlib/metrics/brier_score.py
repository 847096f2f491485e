"""Brier score: squared distance between the probabilities and what happened."""

import numpy as np

from .._arrays import Array
from ._documented import documented
from ._predictions import Floats, Predictions


@documented
def brier_score(
    logits: Array, labels: Array, /, *, sample_weight: Array | None = None, from_probabilities: bool = False
) -> float:
    r"""Brier score over all classes.

    Smaller is better; 0 is perfect, 2 is the worst (certain and wrong). It is a proper score, and unlike
    the log loss it forgives a single confident mistake.

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i \sum_k (p_{ik} - [y_i = k])^2

    Returns
    -------
    float
        In [0, 2].

    Notes
    -----
    Brier's own definition, the sum over all classes, for two classes too. scikit-learn's
    ``brier_score_loss`` gives the same for three classes and more, and half of it for two (there
    ``scale_by_half=False`` gives this figure). probmetrics' ``BrierLoss`` is the same, for two classes too.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> round(metrics.brier_score([[0.75, 0.25], [0.5, 0.5]], [0, 0], from_probabilities=True), 6)
    0.3125
    """
    predictions = Predictions.check(logits, labels, sample_weight, from_probabilities)
    return predictions.mean(row_brier_scores(predictions))


def row_brier_scores(predictions: Predictions) -> Floats:
    """The Brier score of each row."""
    scores = np.empty(predictions.labels.size)
    for rows, block in predictions.probabilities():
        block[np.arange(block.shape[0]), predictions.labels[rows]] -= 1
        scores[rows] = np.einsum("ik,ik->i", block, block)
    return scores
