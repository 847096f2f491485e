"""The decisions of a rule."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._arrays import as_numpy
from .._html import panel

Floats = npt.NDArray[np.float64]

NO_ACTION = -1
_SHOWN_ROWS = 10


class Decision(NamedTuple):
    """The decisions of a rule, as arrays of the type and device of the input.

    Attributes
    ----------
    action : ndarray of int64, shape (rows,)
        The index of the action: of a class, unless the rule has its own actions. -1 if the rule abstained. As
        an index of names, -1 would mean the last name. So use `labels`, or leave out the rows that
        `abstained` marks.
    confidence : ndarray of float64, shape (rows,)
        The probability of the most likely class, for any action.
    abstained : ndarray of bool, shape (rows,)
        Whether the row was set aside for a human.
    expected_cost : ndarray of float64, shape (rows,), or None
        The expected cost of the action (or of abstaining), or None for a rule without costs.
    sets : ndarray of bool, shape (rows, classes), or None
        The classes that can't be ruled out, or None for a rule without sets.
    labels : ndarray of object, shape (rows,), or None
        The name of the action, or None for abstained rows. It is the name of the class, or of the rule's own
        action. Always a NumPy array. The attribute is None if no names are known, as for a rule without a
        `Policy`.
    """

    action: npt.NDArray[np.int64]
    confidence: Floats
    abstained: npt.NDArray[np.bool_]
    expected_cost: Floats | None = None
    sets: npt.NDArray[np.bool_] | None = None
    labels: npt.NDArray[np.object_] | None = None

    def _repr_html_(self) -> str:
        """Return the first rows as a table, for a notebook."""
        rows = self.action.shape[0]
        shown = min(rows, _SHOWN_ROWS)
        action, confidence, abstained = (
            as_numpy(part[:shown], "decision").tolist()
            for part in (self.action, self.confidence, self.abstained)
        )
        names = action if self.labels is None else self.labels[:shown].tolist()
        table = [
            (str(row), "set aside" if aside else str(name), f"{sure:.4g}")
            for row, (name, sure, aside) in enumerate(zip(names, confidence, abstained, strict=True))
        ]
        aside = int(as_numpy(self.abstained, "decision").sum())
        headline = f"{rows:,} rows: {rows - aside:,} decided, {aside:,} set aside"
        more = () if shown == rows else (f"The first {shown} rows are shown.",)
        return panel(headline, more, ("Row", "Action", "Confidence"), table)


def label_decision(decision: Decision, names: Sequence[str]) -> Decision:
    """Add the names of the actions to a decision. Abstained rows get None."""
    action = np.ascontiguousarray(decision.action, np.int64)
    return Decision(*decision[:-1], labels=_kernels.name_actions(action, tuple(names)))
