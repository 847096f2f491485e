"""The action of least expected cost, or a human where even that costs too much."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _json
from .._arrays import Array, FloatArray, as_numpy
from .._checks import check_real
from ..errors import InvalidInputError, UnsupportedTypeError
from .rule import NO_ACTION, Decision, Floats, Rule, check_class_count, highest, row_blocks

# expected costs are sums of rounded products: what differs by less is a tie, and ties go to the first action
_TIE = 1e-12


class MinimumCost(Rule):
    r"""Take the action of least expected cost.

    .. math:: a_i = \arg\min_a \sum_k p_{ik} \, c_{ka}

    For two classes and two actions this is a threshold: with ``cost = [[0, false_alarm], [miss, 0]]``, class
    1 is taken where its probability exceeds ``false_alarm / (false_alarm + miss)``.

    Parameters
    ----------
    cost : array of float, shape (classes, actions)
        ``cost[k, a]`` is the cost of action a when the truth is class k, in any unit; a gain is a negative
        cost. There may be more or fewer actions than classes.
    abstain_cost : float, optional
        What it costs to set a row aside for a human, in the same unit. Rows whose least expected cost is
        higher are set aside. As by default, none is.

    Attributes
    ----------
    cost : ndarray of float64, shape (classes, actions)
        As given.
    abstain_cost : float or None
        As given.

    Raises
    ------
    InvalidInputError
        When `cost` is no matrix of finite numbers, or `abstain_cost` is not finite.

    Notes
    -----
    Actions whose expected costs differ by less than 1e-12 of the largest cost tie: the first is taken, and
    a row that ties with abstaining is decided.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning" (IJCAI 2001); Chow, "On optimum recognition error and
    reject tradeoff", IEEE Transactions on Information Theory 16 (1970).

    Examples
    --------
    Missing a tumour (class 1) costs 50, a false alarm 1, asking a radiologist 0.4:

    >>> from softmaxlib.decisions import MinimumCost
    >>> rule = MinimumCost([[0, 1], [50, 0]], abstain_cost=0.4)
    >>> decision = rule.decide([[0.999, 0.001], [0.9, 0.1], [0.3, 0.7]])
    >>> decision.action, decision.expected_cost.round(3)
    (array([ 0, -1,  1]), array([0.05, 0.4 , 0.3 ]))
    """

    _fields = ("cost", "abstain_cost")

    def __init__(self, cost: Array, abstain_cost: float | None = None) -> None:
        self.cost = _check_cost(cost)
        self.abstain_cost = None if abstain_cost is None else _check_abstain_cost(abstain_cost)

    def __repr__(self) -> str:
        return f"MinimumCost({self.cost.tolist()}, abstain_cost={self.abstain_cost})"

    def _check_classes(self, classes: int) -> None:
        check_class_count(self, self.cost.shape[0], classes)

    def _decide(self, probabilities: FloatArray) -> Decision:
        action = np.empty(probabilities.shape[0], np.int64)
        cost = np.empty(probabilities.shape[0])
        for rows in row_blocks(probabilities, self.cost.shape[1]):
            action[rows], cost[rows] = self._cheapest(probabilities[rows].astype(np.float64))
        abstained = np.zeros(action.size, bool)
        if self.abstain_cost is not None:
            abstained = cost > self.abstain_cost + self._tie()
            action[abstained] = NO_ACTION
            cost[abstained] = self.abstain_cost
        return Decision(action, highest(probabilities), abstained, cost)

    def _cheapest(self, probabilities: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
        costs = probabilities @ self.cost
        least = costs.min(axis=1, keepdims=True)
        action = np.argmax(costs <= least + self._tie(), axis=1)
        return action, np.take_along_axis(costs, action[:, None], axis=1)[:, 0]

    def _tie(self) -> float:
        return _TIE * float(np.abs(self.cost).max())

    def _encode(self) -> dict[str, Any]:
        return {"cost": _json.encode_array(self.cost), "abstain_cost": self.abstain_cost}

    @classmethod
    def _decode(cls, content: Mapping[str, Any]) -> Self:
        cost = _json.decode_array(content["cost"], "MinimumCost.cost", shape=(None, None))
        abstain_cost = content["abstain_cost"]
        if abstain_cost is not None:
            abstain_cost = _json.decode_number(abstain_cost, "MinimumCost.abstain_cost")
        return cls(cost, abstain_cost)


def _check_cost(cost: Array) -> Floats:
    try:
        array = as_numpy(cost, "cost")
    except ValueError as error:
        raise InvalidInputError(f"cost must be a rectangular matrix, got {error}") from None
    if array.dtype.kind not in "iuf":
        raise UnsupportedTypeError(
            f"cost must be real numbers, got dtype {array.dtype}; convert with float()"
        )
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise InvalidInputError(
            "cost must have one row a class (at least two) and one column an action (at least one), "
            f"got shape {array.shape}"
        )
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InvalidInputError(
            f"cost must be finite, got {array[row, column]} for class {row}, action {column}; "
            "use a large number for what must never happen"
        )
    return array


def _check_abstain_cost(abstain_cost: float) -> float:
    number = check_real(abstain_cost, "abstain_cost")
    if not np.isfinite(number):
        raise InvalidInputError(f"abstain_cost must be finite, got {abstain_cost}; use None to never abstain")
    return number
