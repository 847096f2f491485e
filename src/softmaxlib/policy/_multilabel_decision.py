"""Decisions on each label of each row, joined from the decisions on single labels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray
from .judging import Judgement


class MultilabelDecision(NamedTuple):
    """The decisions of a policy for each label of each row.

    Attributes
    ----------
    action : ndarray of int64, shape (rows, labels)
        1 where the row is taken to have the label, 0 where not, -1 where that is left to a human.
    probability : ndarray of float64, shape (rows, labels)
        The calibrated probability of each label.
    abstained : ndarray of bool, shape (rows, labels)
        True where `action` is -1.
    expected_cost : ndarray of float64, shape (rows, labels), or None
        Expected cost of the action, or None unless the rule of every label has costs.
    labels : ndarray of object, shape (rows,)
        A tuple with the names of the labels of each row, as decided. Always a NumPy array.
    """

    action: npt.NDArray[np.int64]
    probability: FloatArray
    abstained: npt.NDArray[np.bool_]
    expected_cost: FloatArray | None
    labels: npt.NDArray[np.object_]


def joined(judged: Sequence[Judgement], class_names: Sequence[str]) -> MultilabelDecision:
    """Join the decisions on the labels, in their order."""
    decisions = [one.decision for one in judged]
    action = stacked([one.action for one in decisions]).astype(np.int64, copy=False)
    costs = [one.expected_cost for one in decisions if one.expected_cost is not None]
    return MultilabelDecision(
        action=action,
        probability=stacked([probability_of(one) for one in judged]),
        abstained=stacked([one.abstained for one in decisions]),
        expected_cost=stacked(costs) if len(costs) == len(decisions) else None,
        labels=_names_of_rows(action == 1, class_names),
    )


def probability_of(judged: Judgement) -> FloatArray:
    """Return the probability of the label in each row."""
    assert judged.probabilities is not None
    return judged.probabilities[:, 1]


def stacked(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Return the columns as one array."""
    return np.stack(columns, axis=1)


def _names_of_rows(taken: npt.NDArray[np.bool_], names: Sequence[str]) -> npt.NDArray[np.object_]:
    """Return a tuple of names per row."""
    columns = np.array(names, object)[np.nonzero(taken)[1]].tolist()
    ends = np.cumsum(taken.sum(axis=1)).tolist()
    result, start = np.empty(len(taken), object), 0
    for row, end in enumerate(ends):
        result[row] = tuple(columns[start:end])
        start = end
    return result
