"""Hamming loss: how many of the labels of a multi-label model are wrong."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._label_cells import LabelCells


@checked_keywords
@underflow_is_zero
def hamming_loss(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the Hamming loss of a multi-label model: the share of labels that are predicted wrongly.

    Smaller is better, in [0, 1]. A label is predicted where its logit is above 0. It is 1 - the `accuracy` of
    all cells of the table.

    .. math:: \frac{\sum_i w_i \sum_k [\hat y_{ik} \ne y_{ik}]}{\sum_i w_i \sum_k 1}

    Parameters
    ----------
    logits : array, shape (rows, labels)
        One logit per label, or one probability per label when `probabilities` is true.
    labels : array, shape (rows, labels), or sequence of lists of names
        As in `multilabel_score`. A missing cell does not count.
    class_names : sequence of str, optional
        One name per label, in the order of the columns.
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
    The same figure as scikit-learn's ``hamming_loss`` of the predicted labels. Where labels are rare it is
    small for a model that predicts none.

    References
    ----------
    Schapire, Singer, "BoosTexter: a boosting-based system for text categorization", Machine Learning 39
    (2000).

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.hamming_loss([[2.0, -1.0], [1.0, 3.0]], [[1, 0], [0, 1]])
    0.25
    """
    cells = LabelCells.check(logits, labels, class_names, sample_weight, probabilities)
    return float(np.average(~cells.right, weights=cells.cell_weights))
