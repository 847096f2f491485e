"""Specificity: how many of the rows of other classes are not predicted as a class."""

from collections.abc import Sequence

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._class_counts import ClassCounts, ClassShare
from .predictions import Floats, Predictions


@checked_keywords
@underflow_is_zero
def specificity(
    logits: Array,
    labels: Array,
    /,
    *,
    average: str = "binary",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the specificity (true negative rate): the share of the other classes' rows kept apart.

    Larger is better. The first of the highest classes is predicted, as by `numpy.argmax`.

    .. math:: \text{specificity} = \frac{TN}{TN + FP}

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    average : {"binary", "macro", "micro", "weighted"}, default "binary"
        As in `precision`.
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
        When `average` is not one of those named, or is "binary" with more than two classes, or an input
        breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    Where every row is of the class, its specificity is 0, and a warning says so.

    For two classes it is scikit-learn's ``recall_score`` with ``pos_label=0``. With "macro" it is
    torchmetrics' ``MulticlassSpecificity`` where every class occurs.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits = [[0.0, 2.0], [0.0, 3.0], [1.0, 0.0], [2.0, 0.0]]
    >>> metrics.specificity(logits, [1, 0, 0, 0])
    0.6666666666666666
    """
    return SPECIFICITY.value(
        Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names), average
    )


def _parts(counts: ClassCounts) -> tuple[Floats, Floats]:
    rows = counts.actual.sum(axis=-1, keepdims=True)
    others = rows - counts.actual
    return others - (counts.predicted - counts.hits), others


SPECIFICITY = ClassShare("specificity", _parts, "every row is of it")
