"""Subset accuracy: in how many rows a multi-label model gets every label right."""

from collections.abc import Sequence

import numpy as np

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._label_cells import LabelCells


@checked_keywords
@underflow_is_zero
def subset_accuracy(
    logits: Array,
    labels: Array,
    /,
    *,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the subset accuracy of a multi-label model: the share of rows all of whose labels are right.

    Larger is better, in [0, 1]. A label is predicted where its logit is above 0. Also called exact match.

    .. math:: \frac{1}{\sum_i w_i} \sum_i w_i \prod_k [\hat y_{ik} = y_{ik}]

    Parameters
    ----------
    logits : array, shape (rows, labels)
        One logit per label, or one probability per label when `probabilities` is true.
    labels : array, shape (rows, labels), or sequence of lists of names
        As in `multilabel_score`. A missing cell does not count, nor does a row of which nothing is known.
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
    The same figure as scikit-learn's ``accuracy_score`` of a table of predicted labels, and as torchmetrics'
    ``MultilabelExactMatch``.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> metrics.subset_accuracy([[2.0, -1.0], [1.0, 3.0]], [[1, 0], [0, 1]])
    0.5
    """
    cells = LabelCells.check(logits, labels, class_names, sample_weight, probabilities)
    right = (cells.right | ~cells.table.known).all(axis=1)
    weights = np.where(cells.table.known.any(axis=1), cells.weights, 0.0)
    return float(np.average(right, weights=weights))
