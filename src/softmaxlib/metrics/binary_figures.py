"""The metrics of two classes that are made of four counts, by name: for many thresholds at once."""

from collections.abc import Callable, Mapping
from functools import partial

from ._class_counts import ClassCounts, share
from .balanced_accuracy import balanced_accuracy_of
from .f1_score import F1_SCORE
from .matthews_correlation import matthews_correlation_of
from .precision import PRECISION
from .predictions import Floats
from .recall import RECALL
from .specificity import SPECIFICITY


def _accuracy(counts: ClassCounts) -> Floats:
    return share(counts.hits.sum(axis=-1), counts.actual.sum(axis=-1))


_FIGURES: Mapping[str, Callable[[ClassCounts], Floats]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": balanced_accuracy_of,
    "f1_score": partial(F1_SCORE.figure, average="binary"),
    "matthews_correlation": matthews_correlation_of,
    "precision": partial(PRECISION.figure, average="binary"),
    "recall": partial(RECALL.figure, average="binary"),
    "specificity": partial(SPECIFICITY.figure, average="binary"),
}

BINARY_METRICS = tuple(_FIGURES)


def binary_figure(name: str, cells: Floats) -> Floats:
    """Compute a metric of each of many tables of two classes.

    Parameters
    ----------
    name : str
        One of `BINARY_METRICS`: a function of `softmaxlib.metrics`.
    cells : ndarray, shape (..., 2, 2)
        Entry [k, j]: the weight of the rows of class k that are predicted as class j. Not all are 0.

    Returns
    -------
    ndarray, shape (...)
        Of class 1 where there is one figure a class. A share of no rows is 0.
    """
    hits = cells[..., (0, 1), (0, 1)]
    return _FIGURES[name](ClassCounts(hits, cells.sum(axis=-2), cells.sum(axis=-1)))
