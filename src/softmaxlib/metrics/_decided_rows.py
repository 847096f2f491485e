"""Decisions on some rows, checked."""

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from .._arrays import Array, IntArray, as_numpy
from ..errors import InvalidInputError, UnsupportedTypeError
from .predictions import Floats

MOST_ACTIONS = 1 << 24
_MOST_COST = 1e15


class DecisionArrays(Protocol):
    """The arrays of a `softmaxlib.decisions.Decision`."""

    @property
    def action(self) -> Any:
        """The number of the action of each row, -1 for none."""
        ...

    @property
    def abstained(self) -> Any:
        """True for each row that was set aside."""
        ...

    @property
    def expected_cost(self) -> Any:
        """The expected cost of each row, or None."""
        ...

    @property
    def sets(self) -> Any:
        """The classes in the set of each row, or None."""
        ...


class DecidedRows(NamedTuple):
    """Checked decisions on some rows, and what they cost."""

    action: IntArray
    abstained: npt.NDArray[np.bool_]
    expected: Floats | None
    sets: npt.NDArray[np.bool_] | None
    cost: Floats | None
    cost_without_rule: Floats | None

    @classmethod
    def check(
        cls,
        decision: DecisionArrays,
        cost: Array | None,
        cost_without_rule: Array | None,
        rows: int,
        classes: int,
    ) -> Self:
        """Check what was decided on some rows."""
        if not hasattr(decision, "abstained"):
            raise UnsupportedTypeError(
                f"decision must be what decide returned, got {type(decision).__name__}; pass it as it is"
            )
        action, abstained = as_numpy(decision.action, "decision"), as_numpy(decision.abstained, "decision")
        if action.shape != (rows,) or abstained.shape != (rows,):
            raise InvalidInputError(
                f"decision must be of the same {rows} rows as the labels, got one of {action.shape[0]}; pass "
                "what decide returned for these rows"
            )
        sets = None if decision.sets is None else as_numpy(decision.sets, "decision").astype(np.bool_)
        if sets is not None and sets.shape != (rows, classes):
            raise InvalidInputError(f"decision must have sets of {classes} classes, got {sets.shape[1]}")
        if action.size and int(action.max()) >= MOST_ACTIONS:
            raise InvalidInputError(f"decision must have actions below {MOST_ACTIONS:,}, got {action.max()}")
        expected = decision.expected_cost
        return cls(
            action.astype(np.int64),
            abstained.astype(np.bool_),
            None if expected is None else _checked(expected, "decision", rows),
            sets,
            None if cost is None else _checked(cost, "cost", rows),
            None if cost_without_rule is None else _checked(cost_without_rule, "cost_without_rule", rows),
        )

    def part(self, some: npt.NDArray[np.bool_]) -> "DecidedRows":
        """Return some of the rows."""
        return DecidedRows(*(None if column is None else column[some] for column in self))  # type: ignore[arg-type]


def _checked(values: Array, name: str, rows: int) -> Floats:
    found = as_numpy(values, name).astype(np.float64)
    if found.shape != (rows,):
        raise InvalidInputError(f"{name} must hold one cost a row, shape ({rows},), got shape {found.shape}")
    wrong = ~(np.abs(found) <= _MOST_COST)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InvalidInputError(
            f"{name} must hold finite costs of at most {_MOST_COST:.0e}, got {found[row]} in row {row}"
        )
    return found
