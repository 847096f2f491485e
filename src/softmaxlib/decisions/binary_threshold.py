"""A threshold on the probability of the positive class."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from .._arrays import Array, FloatArray
from .._checks import check_real
from .._graph import Tensor
from .._stored import Number
from ..errors import InvalidInputError
from ._positive_class import export_positive, take_positive
from ._rounding import reachable
from .decision import Decision
from .exported_decision import ExportedDecision
from .option import Option
from .rule import Rule, check_class_count
from .words import from_probability


class BinaryThreshold(Rule):
    r"""Take the second of two classes if its probability reaches a threshold, and otherwise the first.

    .. math:: a_i = 1 \text{ if } p_{i1} \ge t, \text{ else } 0

    This rule never abstains. `Threshold` is different: it takes a class only if its probability is high
    enough, and otherwise sets the row aside. `TunedThreshold` chooses t on held-out rows. If the costs of
    both mistakes are known, ``MinimumCost.binary`` is better. In float32, a probability that equals t
    rounded to float32 reaches it.

    Parameters
    ----------
    threshold : float
        The least probability, in [0, 1], at which the second (positive) class is taken.

    Attributes
    ----------
    threshold : float
        As given.

    Raises
    ------
    InvalidInputError
        If the threshold is not in [0, 1].

    Examples
    --------
    >>> from softmaxlib.decisions import BinaryThreshold
    >>> BinaryThreshold(0.3).decide([0.1, 0.3, 0.8], probabilities=True).action
    array([0, 1, 1])
    """

    command_name = "binary-threshold"
    command_options = (
        Option(
            "positive_threshold",
            "number",
            "For two classes: take the positive (second) class from this probability on, else the other.",
        ),
    )

    _settings = {"threshold": Number(lower=0, upper=1)}  # noqa: RUF012

    def __init__(self, threshold: float) -> None:
        number = check_real(threshold, "threshold")
        if not 0 <= number <= 1:
            raise InvalidInputError(
                f"threshold must be a probability of the positive class, 0 to 1, got {number:g}"
            )
        self.threshold = number

    def __repr__(self) -> str:
        return f"BinaryThreshold({self.threshold})"

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--positive-threshold``."""
        if "positive_threshold" not in options:
            raise InvalidInputError(f"--rule {cls.command_name} needs --positive-threshold, such as 0.3")
        if len(class_names) != 2:
            raise InvalidInputError(
                f"--positive-threshold is for two classes, got {len(class_names)}; use --threshold"
            )
        number = options["positive_threshold"]
        if not 0 <= number <= 1:
            raise InvalidInputError(f"--positive-threshold must be a probability, 0 to 1, got {number:g}")
        return cls(number)

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the least probability at which the second class is taken."""
        return from_probability(self.threshold, class_names)

    def second_class_threshold(self, class_names: Sequence[str]) -> float | None:
        """Return the threshold."""
        del class_names
        return self.threshold

    def _check_settings(self, classes: int) -> None:
        check_class_count(self, 2, classes)

    def _decide(self, probabilities: FloatArray, groups: Array | None) -> Decision:
        single = probabilities.dtype == np.float32
        return take_positive(probabilities, float(reachable(self.threshold)) if single else self.threshold)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        return export_positive(probabilities, self.threshold)
