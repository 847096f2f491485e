"""The wrong rows that the model was surest of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..activations import softmax
from ..metrics.predictions import Predictions

_MISTAKES = 12
_BLOCK = 512  # rows of which the surest one is found first


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


def _least_of_worst(predictions: Predictions, is_wrong: npt.NDArray[np.bool_]) -> float:
    """Return a confidence that at least twelve wrong rows reach, or all; rounding changes less than 1e-6."""
    confidence = np.where(is_wrong, predictions.figure("confidence"), 0.0)
    whole = confidence.size // _BLOCK * _BLOCK
    largest = confidence[:whole].reshape(-1, _BLOCK).max(axis=1)
    if largest.size < _MISTAKES:
        largest = confidence
    return float(np.partition(largest, -_MISTAKES)[-_MISTAKES]) - 1e-6 if largest.size >= _MISTAKES else 0.0


def worst_mistakes(
    names: Sequence[str], predictions: Predictions, row_ids: npt.NDArray[np.object_] | None
) -> tuple[Mistake, ...]:
    """Find the wrong rows with the largest probability; rows of equal rounded probability in their order."""
    truth, predicted = predictions.labels, predictions.figure("most_likely")
    is_wrong, weights = ~predictions.figure("correct"), predictions.sample_weight
    if weights is not None:
        is_wrong &= weights > 0
    wrong = np.flatnonzero(
        is_wrong & (predictions.figure("confidence") >= _least_of_worst(predictions, is_wrong))
    )
    probabilities = softmax(predictions.values[wrong]).astype(np.float64)
    surest = np.argsort(-probabilities.max(axis=1, initial=0), kind="stable")[:_MISTAKES].tolist()
    found = []
    for index in surest:
        row = int(wrong[index])
        name = None if row_ids is None else row_ids[row]
        true, likely = int(truth[row]), int(predicted[row])
        of_row = probabilities[index]
        found.append(Mistake(row, name, names[true], names[likely], float(of_row.max()), float(of_row[true])))
    return tuple(found)
