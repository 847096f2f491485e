"""Choose the most likely class."""

from collections.abc import Sequence

from .._graph import Tensor
from .._judging import Criterion, Kind
from .exported_decision import ExportedDecision
from .rule import Rule


class MostLikely(Rule):
    r"""Take the most likely class.

    .. math:: a_i = \arg\max_k p_{ik}

    This is the best rule if all mistakes cost the same and no row can be set aside. If several classes share
    the highest probability, the first is taken. The rule never abstains.

    Examples
    --------
    >>> from softmaxlib.decisions import MostLikely
    >>> MostLikely().decide([[0.9, 0.1], [0.3, 0.7]], probabilities=True).action
    array([0, 1])
    """

    command_name = "most-likely"

    def __repr__(self) -> str:
        return "MostLikely()"

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain that every row is decided."""
        del class_names
        return "Every row gets its most likely class; none is handed over."

    def criterion(self, classes: int) -> Criterion:
        """Use the most likely class."""
        return Criterion(Kind.most_likely)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        del classes
        return ExportedDecision(probabilities.row_argmax())
