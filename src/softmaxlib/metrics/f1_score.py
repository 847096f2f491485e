"""F1 score: the harmonic mean of precision and recall."""

from collections.abc import Sequence

from .._arrays import Array
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._class_counts import ClassCounts, ClassShare
from .predictions import Floats, Predictions


@checked_keywords
@underflow_is_zero
def f1_score(
    logits: Array,
    labels: Array,
    /,
    *,
    average: str = "binary",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the F1 score: the harmonic mean of precision and recall.

    Larger is better. The first of the highest classes is predicted, as by `numpy.argmax`. Rows that are
    rightly kept apart do not count, so the figure depends on which class is the positive one.

    .. math:: F_1 = \frac{2\,TP}{2\,TP + FP + FN}

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
    Where no row is of the class or predicted as it, the figure is 0, and a warning says so.

    The same figure as scikit-learn's ``f1_score`` of the predicted classes.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> logits = [[0.0, 2.0], [0.0, 3.0], [1.0, 0.0], [2.0, 0.0]]
    >>> metrics.f1_score(logits, [1, 0, 0, 1])
    0.5
    """
    return F1_SCORE.value(
        Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names), average
    )


def _parts(counts: ClassCounts) -> tuple[Floats, Floats]:
    return 2 * counts.hits, counts.predicted + counts.actual


F1_SCORE = ClassShare("f1_score", _parts, "no row is of it or predicted as it")
