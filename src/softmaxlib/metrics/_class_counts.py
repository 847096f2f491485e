"""Rows counted by class: predicted as it, of it, and both. Precision, recall and others are made of these."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._checks import check_choice
from ..errors import InvalidInputError
from ._bins import group_sums
from ._undefined import warn_of_figure
from .predictions import Floats, Predictions

AVERAGES = ("binary", "macro", "micro", "weighted")


class ClassCounts(NamedTuple):
    """The weight of the rows of each class, each of shape (..., classes)."""

    hits: Floats
    predicted: Floats
    actual: Floats


class ClassShare(NamedTuple):
    """A figure of each class that is a share of rows: numerator, denominator, and the case of no rows."""

    name: str
    parts: Callable[[ClassCounts], tuple[Floats, Floats]]
    reason: str

    def value(self, predictions: Predictions, average: str) -> float:
        """Return the figure, with a warning if it is a share of no rows."""
        average = check_average(average, predictions.values.shape[1])
        counts = count_classes(predictions)
        self._warn(counts, average)
        return float(self.figure(counts, average))

    def figure(self, counts: ClassCounts, average: str) -> Floats:
        """Return the averaged figure of each of many counts, shape (...); a share of no rows is 0."""
        part, whole = self.parts(counts)
        if average == "micro":
            return share(part.sum(axis=-1), whole.sum(axis=-1))
        figures = share(part, whole)
        if average == "binary":
            return figures[..., 1]
        weights = counts.actual if average == "weighted" else _occurs(counts).astype(np.float64)
        return (figures * weights).sum(axis=-1) / weights.sum(axis=-1)

    def _warn(self, counts: ClassCounts, average: str) -> None:
        if average == "micro":
            return
        nothing = _occurs(counts) & (self.parts(counts)[1] == 0)
        if average == "binary":
            nothing = np.array([False, self.parts(counts)[1][1] == 0])
        classes = np.flatnonzero(nothing)
        if classes.size:
            some = f"class {classes[0]}" + (
                f" and {classes.size - 1} more classes" if classes.size > 1 else ""
            )
            warn_of_figure(
                f"{self.name} is a share of no rows for {some}, and counts as 0: {self.reason}; "
                "judge more rows, or check labels and model"
            )


def check_average(average: str, classes: int) -> str:
    """Check the name of an average over classes. "binary" is for two classes."""
    check_choice(average, "average", AVERAGES)
    if average == "binary" and classes != 2:
        raise InvalidInputError(
            f"average must be one of {', '.join(AVERAGES[1:])} for {classes} classes, got 'binary', "
            "which is the figure of the second of two classes"
        )
    return average


def count_classes(predictions: Predictions) -> ClassCounts:
    """Return the counts of all rows; the first of the highest classes is predicted, as by `numpy.argmax`."""
    rows = predictions.labels.size
    return ClassCounts(*(counts[0] for counts in count_groups(predictions, np.zeros(rows, np.int64), 1)))


def count_groups(predictions: Predictions, groups: npt.NDArray[np.int64], count: int) -> ClassCounts:
    """Return the counts of each group of rows, shape (groups, classes)."""
    classes = predictions.values.shape[1]
    predicted = predictions.figure("most_likely")
    hit = np.where(predictions.figure("correct"), predictions.weights, 0.0)

    def sums(label: npt.NDArray[np.int64], weights: Floats) -> Floats:
        return group_sums(groups * classes + label, count * classes, weights).reshape(count, classes)

    return ClassCounts(
        sums(predictions.labels, hit),
        sums(predicted, predictions.weights),
        sums(predictions.labels, predictions.weights),
    )


def share(part: Any, whole: Any) -> Floats:
    """Return the quotient, or 0 if the denominator is 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


def _occurs(counts: ClassCounts) -> npt.NDArray[np.bool_]:
    """Return the classes that occur as label or prediction."""
    return (counts.predicted > 0) | (counts.actual > 0)
