"""Rows ranked by their score for a class, for areas under curves."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import check_choice
from ..losses import cross_entropy
from ._undefined import warn_of_figure
from .order import rising_order
from .predictions import Floats, Predictions, row_blocks


class RankedRows(NamedTuple):
    """Rows of equal score together, the highest first, each of shape (scores,).

    Attributes
    ----------
    score : ndarray
        Distinct scores, falling.
    positive, negative : ndarray
        The weight of the rows of the class, and of the others, that have the score.
    """

    score: Floats
    positive: Floats
    negative: Floats


def class_scores(predictions: Predictions) -> Iterator[Floats]:
    """Yield, class by class, a score of each row that increases with its probability.

    Of logits it is the logarithm of the probability. It keeps rows apart that are so sure that their
    probabilities are all 1 when rounded.
    """
    if predictions.are_probabilities:
        for column in predictions.values.T:
            yield column.astype(np.float64)
        return
    rows = predictions.labels.size
    largest, surprise = np.empty(rows), np.empty(rows)
    for part in row_blocks(predictions.values):
        block = predictions.values[part].astype(np.float64)
        largest[part] = block.max(axis=1)
        # minus the log probability of the most likely class, exact also where it is tiny
        surprise[part] = cross_entropy(block, block.argmax(axis=1), reduction="none")
    for column in predictions.values.T:
        with np.errstate(over="ignore"):
            score = (column.astype(np.float64) - largest) - surprise
        yield score


def positive_scores(predictions: Predictions) -> Floats:
    """Return, for two classes, a score of each row that increases with the probability of class 1."""
    negative, positive = predictions.values.astype(np.float64).T
    # halves, because the difference of two numbers may be too large for one
    return positive if predictions.are_probabilities else positive / 2 - negative / 2


def rank_rows(score: Floats, positive: npt.NDArray[np.bool_], weights: Floats) -> RankedRows:
    """Rank the rows, without those of weight 0."""
    counts = weights > 0
    if not counts.all():
        score, positive, weights = score[counts], positive[counts], weights[counts]
    order = rising_order(-score)
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    weights, positive = weights[order], positive[order]
    return RankedRows(
        ordered[starts],
        np.add.reduceat(np.where(positive, weights, 0.0), starts),
        np.add.reduceat(np.where(positive, 0.0, weights), starts),
    )


def check_curve_average(average: str) -> None:
    """Check the name of an average over the curves of several classes."""
    check_choice(average, "average", ("macro", "weighted"))


def class_weights(predictions: Predictions, metric: str) -> Floats:
    """Return the weight of the rows of each class, with a warning where a class has none."""
    classes = predictions.values.shape[1]
    rows = np.bincount(predictions.labels, predictions.weights, classes).astype(np.float64, copy=False)
    missing = np.flatnonzero(rows == 0)
    if missing.size == classes - 1:
        warn_of_figure(
            f"{metric} is not defined: every row is of class {rows.argmax()}; judge rows of several classes"
        )
    elif missing.size:
        warn_of_figure(
            f"{metric} leaves out {missing.size} of {classes} classes, which no row is of (the first is "
            f"class {missing[0]}); judge rows of every class"
        )
    return rows


def areas_against_rest(
    predictions: Predictions, rows: Floats, area: Callable[[RankedRows], float]
) -> Iterator[tuple[float, float]]:
    """Yield the area of class 1 (two classes), or of each class that has rows, and its weight."""
    if rows.size == 2:
        ranked = rank_rows(positive_scores(predictions), predictions.labels == 1, predictions.weights)
        yield area(ranked), 1.0
        return
    for label, score in enumerate(class_scores(predictions)):
        if rows[label] > 0:
            ranked = rank_rows(score, predictions.labels == label, predictions.weights)
            yield area(ranked), float(rows[label])


def average_areas(areas: Iterator[tuple[float, float]], average: str) -> float:
    """Return the mean of (area, weight)."""
    each, weights = np.array(list(areas)).T
    return float(np.average(each, weights=weights if average == "weighted" else None))
