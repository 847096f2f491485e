"""The figures of each class: rows, recall, precision and mean probability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .confusions import Confusions


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class.

    Attributes
    ----------
    name : str
        The class.
    rows, predicted : float
        Rows of which it is the truth, and rows for which it is the most likely class; the sums of their
        weights, where they have any.
    recall : float
        Share of its rows that were recognised; NaN where it has none.
    precision : float
        Share of the rows called by its name that are of it; NaN where there are none.
    mean_probability, frequency : float
        Its mean probability over all rows, and how often it was the truth: equal when calibrated.
    """

    name: str
    rows: float
    predicted: float
    recall: float
    precision: float
    mean_probability: float
    frequency: float


def class_figures(
    names: Sequence[str], confusions: Confusions, mean: Sequence[float]
) -> tuple[ClassFigures, ...]:
    """Compute the figures of each class from the confusions and the mean probabilities."""
    rows, predicted, right = confusions.sums(len(names))
    total = rows.sum()
    with np.errstate(invalid="ignore"):  # 0 / 0: a class that never occurs has no recall
        recall, precision = right / rows, right / predicted
    return tuple(
        ClassFigures(
            name=name,
            rows=rows[k].item(),
            predicted=predicted[k].item(),
            recall=float(recall[k]),
            precision=float(precision[k]),
            mean_probability=mean[k],
            frequency=float(rows[k] / total),
        )
        for k, name in enumerate(names)
    )
