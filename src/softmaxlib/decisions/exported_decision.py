"""What a rule gives in a graph."""

from typing import NamedTuple

from .._graph import Tensor


class ExportedDecision(NamedTuple):
    """The rule's part of a `Decision`, as tensors of a graph.

    Attributes
    ----------
    action : Tensor, shape (rows, 1)
        The number of the action, NO_ACTION where the rule abstains.
    expected_cost : Tensor, shape (rows, 1), or None
        What that is expected to cost, for a rule with costs.
    sets : Tensor of flags, shape (rows, classes), or None
        Which classes can't be ruled out, for a rule with sets.
    """

    action: Tensor
    expected_cost: Tensor | None = None
    sets: Tensor | None = None
