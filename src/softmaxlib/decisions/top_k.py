"""The k most likely classes."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray
from .._checks import check_integer
from .._graph import FLAG, Tensor
from .._stored import Integer
from ..errors import InvalidInputError
from ._ranking import ranks
from ._row_blocks import highest, row_blocks
from .decision import Decision
from .exported_decision import ExportedDecision
from .option import Option
from .rule import Rule


class TopK(Rule):
    """Offer the `k` most likely classes.

    The sets contain exactly `k` classes per row, and the action is the most likely one. Classes of equal
    probability are ranked by index. The rule never abstains, and does not promise any coverage.
    `PredictionSets` does.

    Parameters
    ----------
    k : int
        Size of the sets, from 1 to the number of classes.

    Raises
    ------
    InvalidInputError
        If `k` is below 1, or, on use, above the number of classes.

    Examples
    --------
    >>> from softmaxlib.decisions import TopK
    >>> TopK(2).decide([[0.5, 0.1, 0.4]], probabilities=True).sets
    array([[ True, False,  True]])
    """

    command_name = "top-k"
    command_options = (Option("top", "integer", "Return the K most likely classes."),)

    _settings = {"k": Integer(lower=1)}  # noqa: RUF012

    def __init__(self, k: int) -> None:
        self.k = check_integer(k, "k", lower=1)

    def __repr__(self) -> str:
        return f"TopK({self.k})"

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--top``."""
        if "top" not in options:
            raise InvalidInputError("--rule top-k needs --top, how many classes a list has")
        return cls(options["top"])

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the number of classes per row."""
        del class_names
        return f"Each row gets a list of its {self.k} most likely classes."

    def table_columns(self, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        """Return the sets, as column ``set``."""
        assert decision.sets is not None
        return {"set": decision.sets}

    def _check_settings(self, classes: int) -> None:
        if self.k > classes:
            raise InvalidInputError(
                f"TopK offers {self.k} classes, got probabilities of {classes}; choose k of at most {classes}"
            )

    def _decide(self, probabilities: FloatArray, groups: Array | None) -> Decision:
        sets = np.empty(probabilities.shape, bool)
        for rows in row_blocks(probabilities):
            sets[rows] = ranks(probabilities[rows]) <= self.k
        return Decision(
            np.argmax(probabilities, axis=1),
            highest(probabilities),
            np.zeros(probabilities.shape[0], bool),
            sets=sets,
        )

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        _, order = probabilities.sorted()
        is_first = probabilities.graph.constant(np.arange(classes)[None] < self.k, FLAG)
        sets = ((order >= 0) & is_first).put_back(order)
        return ExportedDecision(probabilities.row_argmax(), sets=sets)
