"""The output of a rule in a graph."""

from typing import NamedTuple

from .._graph import Tensor


class ExportedDecision(NamedTuple):
    """The rule's part of a `Decision`, as tensors of a graph.

    Attributes
    ----------
    action : Tensor, shape (rows, 1)
        The index of the action, or NO_ACTION if the rule abstains.
    expected_cost : Tensor, shape (rows, 1), or None
        The expected cost, for a rule with costs.
    sets : Tensor of flags, shape (rows, classes), or None
        The classes that can't be ruled out, for a rule with sets.
    """

    action: Tensor
    expected_cost: Tensor | None = None
    sets: Tensor | None = None
