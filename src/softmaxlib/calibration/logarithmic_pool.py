"""A pool of several calibrations."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _json
from .._checks import check_real, check_sequence
from .._graph import WIDE, Tensor
from .._stored import Schema
from ..errors import FileFormatError, InvalidInputError
from .base import Calibration, Weights
from .matrix_scaling import MatrixScaling
from .nested import Nested
from .smoothing import Smoothing, veto_floor
from .structured_scaling import FLOOR
from .vector_scaling import VectorScaling

_MOST_MEMBERS = 100
_MEMBER = Nested(barred=("Auto", "LogarithmicPool"))


class _Members:
    """The members of a pool."""

    def encode(self, value: Sequence[Calibration]) -> Any:
        return [_MEMBER.encode(member) for member in value]

    def decode(self, value: Any, place: str, classes: int) -> tuple[Calibration, ...]:
        return tuple(
            _MEMBER.decode(member, f"{place}[{index}]", classes)
            for index, member in enumerate(_check_list(value, place))
        )

    def schema(self) -> Schema:
        return {"type": "array", "items": _MEMBER.schema(), "minItems": 1, "maxItems": _MOST_MEMBERS}


class _Shares:
    """One weight per member."""

    def encode(self, value: Sequence[float]) -> Any:
        return [float(weight) for weight in value]

    def decode(self, value: Any, place: str, classes: int) -> tuple[float, ...]:
        del classes
        return tuple(
            _json.decode_number(weight, f"{place}[{index}]", lower=0.0)
            for index, weight in enumerate(_check_list(value, place))
        )

    def schema(self) -> Schema:
        share: Schema = {"type": "number", "minimum": 0.0}
        return {"type": "array", "items": share, "minItems": 1, "maxItems": _MOST_MEMBERS}


class LogarithmicPool(Calibration):
    """Weighted mean of the log-probabilities of several calibrations.

    With the calibrated logits c_m of its members and weights v_m that sum to 1::

        calibrated logits = sum_m v_m log((1 - e) softmax(c_m) + e / K)

    This is a logarithmic opinion pool. The log loss is convex in the logits, so the loss of the pool is at
    most the average loss of its members, and less if they err in different ways. The floor e = 0.001 / (n +
    1) after n rows keeps a member from vetoing a class with probability 0. It is a thousandth of what
    Laplace's rule allows, so it has no effect elsewhere. `Auto` finds members and weights. Use this class
    directly if they are known.

    Parameters
    ----------
    members : sequence of Calibration, optional
        The members, 1 to 100. `fit` fits copies of them. Default: `VectorScaling` and `MatrixScaling`.
    weights : sequence of float, optional
        Weights of the members, at least 0. They are divided by their sum. Default: all equal.

    Attributes
    ----------
    members : tuple of Calibration
        The members. They are fitted after `fit`.
    weights : tuple of float
        The weights, with sum 1.
    floor_ : float
        The floor e, between 0 and 1.
    class_count_ : int
        Number of classes of the logits in `fit`.

    References
    ----------
    C. Genest, J. V. Zidek, "Combining probability distributions: a critique and an annotated bibliography",
    Statistical Science 1, 1986.
    T. Heskes, "Selecting weighting factors in logarithmic opinion pools", NIPS 1997.

    Examples
    --------
    >>> from softmaxlib.calibration import Identity, LogarithmicPool, TemperatureScaling
    >>> logits = [[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]]
    >>> pool = LogarithmicPool([Identity(), TemperatureScaling()], [1, 1]).fit(logits, [0, 0, 1, 1])
    >>> pool.predict_proba([[4.0, 0.0]]).round(4)  # between 0.982 and 0.75
    array([[0.9273, 0.0727]])
    """

    command_name = "pool"

    _settings = {"members": _Members(), "weights": _Shares()}  # noqa: RUF012

    _fitted = {"floor_": FLOOR}  # noqa: RUF012

    members: tuple[Calibration, ...]
    weights: tuple[float, ...]
    floor_: float

    def __init__(
        self, members: Sequence[Calibration] | None = None, weights: Sequence[float] | None = None
    ) -> None:
        self.members = (
            (VectorScaling(), MatrixScaling())
            if members is None
            else check_sequence(members, "members", "calibrations")
        )
        self.weights = _shares(self.members, weights)
        for member in self.members:
            if not isinstance(member, Calibration) or type(member).__name__ in _MEMBER.barred:
                raise InvalidInputError(
                    f"members must be calibrations that contain no others, got {type(member).__name__}; "
                    "give the members of a pool one by one"
                )

    def describe(self) -> str:
        """Describe members and weights in words, largest weight first.

        Returns
        -------
        str
            For example ``"0.70 MatrixScaling + 0.30 VectorScaling"``.
        """
        order = sorted(zip(self.weights, self.members, strict=True), key=lambda pair: -pair[0])
        return " + ".join(f"{weight:.2f} {type(member).__name__}" for weight, member in order)

    def _fit(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        self.members = tuple(
            copy.deepcopy(member)._fit_checked(logits, labels, weights) for member in self.members
        )
        self.floor_ = veto_floor(weights)

    def _join(self, weights: Weights, classes: int) -> "LogarithmicPool":
        """Return the pool of fitted members, for rows of these weights."""
        self.floor_, self.class_count_ = veto_floor(weights), classes
        return self

    def _transform(self, logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
        logits = logits.astype(np.float64, copy=False)
        pooled = np.zeros(logits.shape)
        for weight, member in zip(self.weights, self.members, strict=True):
            pooled += weight * Smoothing(1.0, self.floor_)(member.transform(logits))
        return pooled

    def _export(self, logits: Tensor) -> Tensor:
        wide = logits.cast(WIDE)
        smoothing = Smoothing(1.0, self.floor_)
        parts = [
            smoothing.to_graph(member.to_graph(wide), self.class_count_) * wide.graph.fitted("weight", weight)
            for weight, member in zip(self.weights, self.members, strict=True)
        ]
        return sum(parts[1:], start=parts[0])


def _shares(members: Sequence[Calibration], weights: Sequence[float] | None) -> tuple[float, ...]:
    """Return the weights divided by their sum."""
    if not 1 <= len(members) <= _MOST_MEMBERS:
        raise InvalidInputError(f"a pool must have 1 to {_MOST_MEMBERS} members, got {len(members)}")
    given = (1.0,) * len(members) if weights is None else check_sequence(weights, "weights", "numbers")
    if len(given) != len(members):
        raise InvalidInputError(f"weights must be one number a member, {len(members)}, got {len(given)}")
    numbers = np.array([check_real(one, "weights") for one in given])
    with np.errstate(over="ignore"):
        total = float(numbers.sum())
    if total == np.inf and np.isfinite(numbers).all():
        numbers = numbers / numbers.max()
        total = float(numbers.sum())
    if not (np.isfinite(total) and (numbers >= 0).all() and total > 0):
        raise InvalidInputError(f"weights must be finite, at least 0 and not all 0, got {numbers.tolist()}")
    if abs(total - 1) > 1e-12:  # saved weights are already divided, and keep their bits
        numbers = numbers / total
    return tuple(numbers.tolist())


def _check_list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MOST_MEMBERS:
        raise FileFormatError(f"{place} must be a list of at most {_MOST_MEMBERS}; {_json.ADVICE}")
    return value
