"""One threshold per class. A row is set aside if no class reaches its threshold."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .._arrays import Array, as_numpy
from .._graph import WIDE, Tensor
from .._judging import Criterion, Kind
from .._spelling import numbers_by_name
from .._stored import Array as StoredArray
from .._text import quoted
from ..errors import InvalidInputError, UnsupportedTypeError
from ._rounding import reachable
from .decision import NO_ACTION
from .exported_decision import ExportedDecision
from .option import Option
from .rule import Rule, check_class_count
from .words import below_confidence, by_class_thresholds


class _Thresholds(StoredArray):
    """One number for all classes, as a 0-d array, or one per class."""

    def encode(self, value: npt.NDArray[Any]) -> dict[str, Any]:
        return super().encode(np.atleast_1d(value))

    def decode(self, value: Any, place: str, classes: int) -> npt.NDArray[Any]:
        thresholds = super().decode(value, place, classes)
        return thresholds.reshape(()) if thresholds.size == 1 else thresholds


class Threshold(Rule):
    r"""Take a class only if its probability reaches the threshold of that class.

    .. math:: a_i = \arg\max_k \frac{p_{ik}}{t_k} \quad \text{if } \max_k \frac{p_{ik}}{t_k} \ge 1

    A row is set aside if no class reaches its threshold. A probability that equals the threshold rounded to
    float32 reaches it, so that float32 and float64 give the same decisions. A low threshold favours a class,
    for example a rare and costly one. The usual threshold for two classes, which takes the second class from
    a probability on and never abstains, is `BinaryThreshold`. If the costs are known, `MinimumCost` is
    better.

    Parameters
    ----------
    thresholds : float or array of float, shape (classes,)
        In (0, 1]. One number applies to every class.

    Attributes
    ----------
    thresholds : ndarray of float64, shape () or (classes,)
        As given.

    Raises
    ------
    InvalidInputError
        If a threshold is not in (0, 1].

    References
    ----------
    Chow, "On optimum recognition error and reject tradeoff", IEEE Transactions on Information Theory 16
    (1970); Fumera, Roli, Giacinto, "Reject option with multiple thresholds", Pattern Recognition 33 (2000).

    Examples
    --------
    >>> from softmaxlib.decisions import Threshold
    >>> Threshold([0.8, 0.1]).decide([[0.95, 0.05], [0.85, 0.15]], probabilities=True).action
    array([0, 1])
    >>> Threshold(0.9).decide([[0.95, 0.05], [0.85, 0.15]], probabilities=True).action
    array([ 0, -1])
    """

    command_name = "threshold"
    command_options = (
        Option(
            "threshold",
            "text",
            "Set rows aside if no class has at least this probability. One "
            "number, or one per class: cat=0.9,dog=0.5.",
        ),
    )

    _settings = {"thresholds": _Thresholds(("any",))}  # noqa: RUF012

    def __init__(self, thresholds: Array) -> None:
        if isinstance(thresholds, Mapping):
            raise UnsupportedTypeError(
                f"thresholds must be one number, or one per class in the order of the columns, got a "
                f"{type(thresholds).__name__}; pass its numbers in that order, such as [0.9, 0.5]"
            )
        array = as_numpy(thresholds, "thresholds")
        if array.dtype.kind not in "iuf":
            raise UnsupportedTypeError(f"thresholds must be real numbers, got dtype {array.dtype}")
        if array.ndim > 1 or array.shape in ((0,), (1,)):
            raise InvalidInputError(
                f"thresholds must be one number or one per class, got shape {array.shape}"
            )
        wrong = np.atleast_1d(~((array > 0) & (array <= 1)))
        if wrong.any():
            label = int(np.flatnonzero(wrong)[0])
            where = f" for class {label}" if array.ndim else ""
            raise InvalidInputError(
                f"thresholds must lie above 0 and be at most 1, got {np.atleast_1d(array)[label]}{where}; "
                "use a small number to always take a class"
            )
        self.thresholds = array.astype(np.float64)

    def __repr__(self) -> str:
        return f"Threshold({self.thresholds.tolist()})"

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--threshold``: one number, or one per class by name."""
        if "threshold" not in options:
            raise InvalidInputError("--rule threshold needs --threshold: one number, or one per class")
        given = options["threshold"]
        try:
            number = float(given)
        except ValueError:
            number = None
        if number is not None:
            return cls(number)
        numbers = numbers_by_name(given, class_names)
        if numbers is None:
            raise InvalidInputError(
                "--threshold must be one number, or NAME=NUMBER for each class, separated by commas: "
                f"{quoted([f'{name}=0.5' for name in class_names])}; got {given!r}"
            )
        for name, number in numbers.items():
            if not 0 < number <= 1:
                raise InvalidInputError(
                    f"--threshold must lie above 0 and be at most 1, got {number:g} for {name!r}; use a "
                    "small number to always take a class"
                )
        return cls([numbers[name] for name in class_names])

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the least probability at which a class is taken."""
        if self.thresholds.ndim:
            return by_class_thresholds(self.thresholds, class_names)
        return below_confidence(float(self.thresholds))

    def least_confidence(self, classes: int) -> float | None:
        """Return the threshold, if it is the same for all classes."""
        del classes
        return None if self.thresholds.ndim else float(self.thresholds)

    def _check_settings(self, classes: int) -> None:
        if self.thresholds.ndim:
            check_class_count(self, self.thresholds.size, classes)

    def criterion(self, classes: int) -> Criterion:
        """Use the class with the largest ratio of probability to threshold, if it is at least 1."""
        thresholds = reachable(self.thresholds)
        return Criterion(Kind.thresholds, thresholds if thresholds.ndim else np.full(classes, thresholds))

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        del classes
        wide = probabilities.cast(WIDE)
        thresholds = wide.graph.fitted("thresholds", np.atleast_2d(reachable(self.thresholds)))
        best = (wide / thresholds).row_argmax()
        action = probabilities.reaches(thresholds).pick(best).where(best, NO_ACTION)
        return ExportedDecision(action)
