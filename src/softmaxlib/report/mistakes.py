"""The wrong rows that the model was surest of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..activations import softmax
from ..metrics._bins import confidence_sums
from ..metrics.calibration_test import fine_edges
from ..metrics.predictions import Predictions

MOST_MISTAKES = 12
_ROUNDING = 1e-6  # more than the rounding of a probability can change


@dataclass(frozen=True)
class Mistake:
    """A row whose most likely class is wrong.

    Attributes
    ----------
    row : int
        Its place, counted from 0.
    row_id : str or None
        What it is called; None where rows have no identifiers.
    truth, predicted : str
        Its true class, and the most likely one.
    probability, truth_probability : float
        Of these two classes: of the most likely one, and of the true one.
    """

    row: int
    row_id: str | None
    truth: str
    predicted: str
    probability: float
    truth_probability: float


def _least_of_worst(predictions: Predictions) -> float:
    """Return an edge of bins of confidence above which there are enough wrong rows, or 0."""
    edges = fine_edges()
    rows, _, right = confidence_sums(predictions, edges)
    enough = np.flatnonzero(np.cumsum((rows - right)[::-1]) >= MOST_MISTAKES)
    return float(edges[-2 - enough[0]]) if enough.size else 0.0


def surest(mistakes: Iterable[Mistake]) -> tuple[Mistake, ...]:
    """Return the mistakes with the largest probability; of equal ones the first rows."""
    return tuple(sorted(mistakes, key=lambda one: (-one.probability, one.row))[:MOST_MISTAKES])


def worst_mistakes(
    names: Sequence[str],
    predictions: Predictions,
    row_ids: npt.NDArray[np.object_] | None,
    least: float | None = None,
) -> tuple[Mistake, ...]:
    """Find the wrong rows with the largest probability; rows of equal rounded probability in their order.

    Mistakes of a smaller probability than `least` are not needed.
    """
    truth, predicted = predictions.labels, predictions.figure("most_likely")
    confidence, weights = predictions.figure("confidence"), predictions.sample_weight
    is_wrong = ~predictions.figure("correct")
    if weights is not None:
        is_wrong &= weights > 0
    elif least is None:
        least = _least_of_worst(predictions)
    if least is not None:
        is_wrong &= confidence > least - _ROUNDING
    wrong = np.flatnonzero(is_wrong)
    if wrong.size > MOST_MISTAKES:  # keep candidates
        of_wrong = confidence[wrong]
        wrong = wrong[of_wrong >= np.partition(of_wrong, -MOST_MISTAKES)[-MOST_MISTAKES] - _ROUNDING]
    probabilities = softmax(predictions.values[wrong]).astype(np.float64)
    order = np.argsort(-probabilities.max(axis=1, initial=0), kind="stable")
    found = []
    for index in order[:MOST_MISTAKES].tolist():
        row = int(wrong[index])
        name = None if row_ids is None else row_ids[row]
        true, likely = int(truth[row]), int(predicted[row])
        of_row = probabilities[index]
        found.append(Mistake(row, name, names[true], names[likely], float(of_row.max()), float(of_row[true])))
    return tuple(found)
