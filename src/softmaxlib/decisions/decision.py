"""What a rule decides for each row."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _kernels

Floats = npt.NDArray[np.float64]

NO_ACTION = -1


class Decision(NamedTuple):
    """The decisions of a rule, as arrays of the type and device of the input.

    Attributes
    ----------
    action : ndarray of int64, shape (rows,)
        The number of the action taken: of a class, unless the rule has actions of its own; -1 where it
        abstained. As an index of names, -1 would stand for the last of them: read `labels`, which can't be
        misread, or leave the rows out that `abstained` marks.
    confidence : ndarray of float64, shape (rows,)
        The probability of the most likely class, whatever the action.
    abstained : ndarray of bool, shape (rows,)
        Whether the row was set aside for a human.
    expected_cost : ndarray of float64, shape (rows,), or None
        What the action taken (or abstaining) is expected to cost; None for a rule without costs.
    sets : ndarray of bool, shape (rows, classes), or None
        Which classes can't be ruled out; None for a rule without sets.
    labels : ndarray of object, shape (rows,), or None
        The name of the action taken, None where it abstained: the class's name, or that of the rule's own
        action. A NumPy array always. None as a whole where no names are known, as in a rule that is used
        without a `Policy`.
    """

    action: npt.NDArray[np.int64]
    confidence: Floats
    abstained: npt.NDArray[np.bool_]
    expected_cost: Floats | None = None
    sets: npt.NDArray[np.bool_] | None = None
    labels: npt.NDArray[np.object_] | None = None


def label_decision(decision: Decision, names: Sequence[str]) -> Decision:
    """Return the decision with the names of its actions, None where it abstained."""
    action = np.ascontiguousarray(decision.action, np.int64)
    return Decision(*decision[:-1], labels=_kernels.name_actions(action, tuple(names)))
