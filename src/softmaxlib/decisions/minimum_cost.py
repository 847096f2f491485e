"""Choose the action of least expected cost, or set the row aside if even that costs too much."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._arrays import Array, IntArray, allocator
from .._checks import check_positive
from .._graph import WIDE, Tensor
from .._judging import Criterion, Kind, judge_probabilities
from .._renamed import checked_keywords
from .._stored import Array as StoredArray
from .._stored import Number, OrNone, Texts
from ..errors import InvalidInputError
from ..metrics.normal_mean import LEAST_ROWS
from ..metrics.order import sum_to_ranks
from ..metrics.shares import effective_rows
from ..metrics.simulation import least_p_value
from ..metrics.tally_decisions import TallyDecisions
from ._checked_costs import check_abstain_cost, check_action_names, check_cost
from ._cost_surplus import cost_p_value
from ._mistakes import MISTAKES, mistakes_of
from ._rounding import tie_with
from ._threshold_costs import threshold_costs
from .decision import NO_ACTION, Decision, Floats
from .exported_decision import ExportedDecision
from .option import COSTS, CostTable, Option
from .outcomes import Cheapest, CostCurve, Costs, IfDecided, Outcomes, Promise
from .rule import Rule, check_class_count
from .words import least_confidence, of_costs

# expected costs are sums of rounded products: smaller differences are ties, and ties go to the first action
_TIE = 1e-12
_MOST_DESCRIBED = 120  # letters
_CURVE_POINTS = 400


class MinimumCost(Rule):
    r"""Take the action of least expected cost.

    .. math:: a_i = \arg\min_a \sum_k p_{ik} \, c_{ka}

    For two classes and two actions this is a threshold: with ``cost = [[0, false_alarm], [miss, 0]]``, class
    1 is taken if its probability exceeds ``false_alarm / (false_alarm + miss)``.

    Parameters
    ----------
    cost : array of float, shape (classes, actions)
        ``cost[k, a]`` is the cost of action a if the truth is class k, in any unit. A gain is a negative
        cost. There may be more or fewer actions than classes. The largest absolute value must be between
        1e-100 and 1e100, unless all are 0.
    abstain_cost : float, optional
        The cost of setting a row aside for a human, in the same unit. Rows whose least expected cost is
        higher are set aside. By default no row is set aside.
    action_names : sequence of str, optional
        Names of the actions, one per column, if they are not the classes: "treat", "wait". By default, the
        actions are the classes if their numbers are equal, and otherwise they are numbered.

    Attributes
    ----------
    cost : ndarray of float64, shape (classes, actions)
        As given.
    abstain_cost : float or None
        As given.
    action_names : tuple of str or None
        As given. By default ``"0"``, ``"1"``, ... if the actions are not the classes, and None if they are.

    Raises
    ------
    InvalidInputError
        If `cost` is not a matrix of finite numbers, a number is too large or too small, or `action_names` are
        not one distinct name per action.

    Notes
    -----
    Expected costs that differ by less than 1e-12 of the largest cost are ties. The first action is then
    taken, and a row that ties with abstaining is decided. With `abstain_cost`, differences of about 1e-7 of
    it are ties too: the rounding of float32.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning" (IJCAI 2001); Chow, "On optimum recognition error and
    reject tradeoff", IEEE Transactions on Information Theory 16 (1970).

    Examples
    --------
    Missing a tumour (class 1) costs 50, a false alarm 1, asking a radiologist 0.4:

    >>> from softmaxlib.decisions import MinimumCost
    >>> rule = MinimumCost([[0, 1], [50, 0]], abstain_cost=0.4)
    >>> decision = rule.decide([[0.999, 0.001], [0.9, 0.1], [0.3, 0.7]], probabilities=True)
    >>> decision.action, decision.expected_cost.round(3)
    (array([ 0, -1,  1]), array([0.05, 0.4 , 0.3 ]))

    Three things to do about two classes:

    >>> rule = MinimumCost([[0, 0.2, 1], [5, 0.5, 0]], action_names=["wait", "test", "treat"])
    >>> rule.decide([[0.99, 0.01], [0.8, 0.2], [0.2, 0.8]], probabilities=True).labels.tolist()
    ['wait', 'test', 'treat']
    """

    command_name = "minimum-cost"
    command_options = (
        COSTS,
        *MISTAKES,
        Option(
            "abstain_cost",
            "number",
            "Minimum expected cost: the cost of setting a row aside. Without --cost a mistake costs 1.",
        ),
    )

    _settings = {  # noqa: RUF012
        "cost": StoredArray(("any", "any")),
        "abstain_cost": OrNone(Number()),
        "action_names": OrNone(Texts()),
    }
    _lacking = {"action_names": None}  # noqa: RUF012

    @checked_keywords
    def __init__(
        self, cost: Array, abstain_cost: float | None = None, action_names: Sequence[str] | None = None
    ) -> None:
        self.cost = check_cost(cost)
        self.abstain_cost = None if abstain_cost is None else check_abstain_cost(abstain_cost)
        self._tie = _TIE * float(np.abs(self.cost).max())
        if self.abstain_cost is not None:
            self._tie = max(self._tie, tie_with(self.cost, self.abstain_cost))
        self._action_names = check_action_names(action_names, self.cost.shape[1])

    def __repr__(self) -> str:
        named = "" if self._action_names is None else f", action_names={list(self._action_names)}"
        return f"MinimumCost({self.cost.tolist()}, abstain_cost={self.abstain_cost}{named})"

    @property
    def action_names(self) -> tuple[str, ...] | None:
        """The names of the actions, or None if they are the classes."""
        classes, actions = self.cost.shape
        if self._action_names is not None or classes == actions:
            return self._action_names
        return tuple(str(number) for number in range(actions))

    @classmethod
    def binary(
        cls, *, false_positive: float, false_negative: float, abstain_cost: float | None = None
    ) -> Self:
        """Create the rule for two classes from the costs of both mistakes. Correct decisions cost nothing.

        Parameters
        ----------
        false_positive : float
            The cost of taking class 1 if class 0 is true: a false alarm.
        false_negative : float
            The cost of taking class 0 if class 1 is true: a miss, in the same unit.
        abstain_cost : float, optional
            As for the class.

        Returns
        -------
        MinimumCost
            With ``cost=[[0, false_positive], [false_negative, 0]]``: class 1 is taken if its probability
            exceeds ``false_positive / (false_positive + false_negative)``.

        Examples
        --------
        >>> from softmaxlib.decisions import MinimumCost
        >>> rule = MinimumCost.binary(false_positive=1, false_negative=50)
        >>> rule.decide([0.01, 0.03, 0.5], probabilities=True).action
        array([0, 1, 1])
        """
        costs = {"false_positive": false_positive, "false_negative": false_negative}
        for name, cost in costs.items():
            check_positive(cost, name, "it is what this mistake costs, in any unit")
        return cls([[0, false_positive], [false_negative, 0]], abstain_cost)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], class_names: Sequence[str]) -> Self:
        """Create the rule from ``--cost`` or the costs of both mistakes. By default a mistake costs 1."""
        table: CostTable = options.get("cost", CostTable(1 - np.eye(len(class_names)), None))
        mistakes = mistakes_of(options, len(class_names))
        if mistakes:
            table = CostTable(cls.binary(**mistakes).cost, None)
        abstain_cost = options.get("abstain_cost")
        if abstain_cost is not None and abstain_cost < table.cost.min():
            raise InvalidInputError(
                f"--abstain-cost must not be below the least cost, {table.cost.min():g}, got "
                f"{abstain_cost:g}: every row would be set aside; give what a human's look costs, in the "
                "unit of the other costs"
            )
        return cls(table.cost, abstain_cost, table.action_names)

    def describe(self) -> str:
        """Describe the rule in one line. A large cost table is given by its size."""
        described = repr(self)
        if len(described) <= _MOST_DESCRIBED:
            return described
        classes, actions = self.cost.shape
        aside = "" if self.abstain_cost is None else f", setting a row aside {self.abstain_cost:g}"
        if classes == actions and np.array_equal(self.cost, 1 - np.eye(classes)):
            return f"MinimumCost: every mistake costs 1{aside}"
        return f"MinimumCost: costs of {classes} classes and {actions} actions{aside}"

    def realized_cost(self, decision: Decision, labels: IntArray) -> Floats:
        """Return the realized cost of each row, given its true class. Abstaining costs `abstain_cost`.

        Parameters
        ----------
        decision : Decision
            The result of `decide`, as NumPy arrays.
        labels : ndarray of int, shape (rows,)
            The true class of each row.

        Returns
        -------
        ndarray of float64, shape (rows,)
        """
        return self._paid(labels, decision.action)

    def _paid(self, labels: IntArray, action: npt.NDArray[np.integer]) -> Floats:
        # setting aside, action -1, is the last column
        table = np.pad(self.cost, ((0, 0), (0, 1)), constant_values=self.abstain_cost or 0.0)
        truth = np.ascontiguousarray(labels, np.int64)
        taken = np.ascontiguousarray(action, np.int32 if action.dtype == np.int32 else np.int64)
        paid = allocator(truth.size)(truth.size, np.float64)
        _kernels.pick_numbers(table, truth, taken, paid)
        return paid

    def explain(self, class_names: Sequence[str]) -> str:
        """Explain the costs as thresholds, if possible."""
        return of_costs(self.cost, self.abstain_cost, class_names, self.takes_classes(class_names))

    def least_confidence(self, classes: int) -> float | None:
        """Return the confidence below which rows are set aside, if every mistake costs the same."""
        del classes
        return least_confidence(self.cost, self.abstain_cost)

    def promises(self, outcomes: Outcomes, *, calibration_rows: int, draws: int) -> tuple[Promise, ...]:
        """Test whether decisions cost more than expected, by truths drawn from the probabilities."""
        decision, labels, weights = outcomes.decision, outcomes.labels, outcomes.sample_weight
        assert decision.expected_cost is not None
        paid = self.realized_cost(decision, labels)
        is_decided = ~decision.abstained if weights is None else ~decision.abstained & (weights > 0)
        decided = np.flatnonzero(is_decided)
        p_value = cost_p_value(
            self.cost,
            outcomes.probabilities.take(decided, axis=0),
            decision.action[decided],
            labels[decided],
            outcomes.mean(paid - decision.expected_cost),
            len(labels) if weights is None else float(weights.sum()),
            calibration_rows,
            draws,
            None if weights is None else weights[decided],
        )
        expected, mean = outcomes.mean(decision.expected_cost), outcomes.mean(paid)
        rows = len(labels) if weights is None else effective_rows(weights)
        cost = Promise(
            "cost",
            expected,
            mean,
            p_value,
            least_p_value(draws) if rows >= LEAST_ROWS else 1.0,
            f"a row costs {mean:.4g} on average, and {expected:.4g} was expected",
        )
        return (cost,)

    def promises_of_costs(self, decided: TallyDecisions, calibration_rows: int) -> tuple[Promise, ...] | None:
        """Test whether decisions cost more than expected, by the mean surplus of the rows."""
        if decided.surplus is None or decided.expected_cost is None or decided.mean_cost is None:
            return None
        is_testable = decided.surplus.rows >= LEAST_ROWS
        mean, expected = decided.mean_cost, decided.expected_cost
        cost = Promise(
            "cost",
            expected,
            mean,
            decided.cost_p_value(calibration_rows) if is_testable else 1.0,
            0.0 if is_testable else 1.0,
            f"a row costs {mean:.4g} on average, and {expected:.4g} was expected",
        )
        return (cost,)

    def second_class_threshold(self, class_names: Sequence[str]) -> float | None:
        """Return the threshold that the costs amount to, if they do."""
        return self._threshold() if self.takes_classes(class_names) else None

    def costs(self, outcomes: Outcomes) -> Costs:
        """Return the cost of the decisions, the expected cost, and the cost of other rules."""
        means = self.mean_costs(outcomes)
        every = None if self.abstain_cost is None else self._if_decided(outcomes, self.abstain_cost)
        is_threshold = self.second_class_threshold(outcomes.class_names) is not None
        return means._replace(
            curve=None if every is None else self._cost_curve(every, outcomes.sample_weight),
            if_decided=every,
            threshold_curve=threshold_costs(self.cost, outcomes) if is_threshold else None,
        )

    def mean_costs(self, outcomes: Outcomes) -> Costs:
        """Return the same without the curves and what every row would cost if it were decided."""
        decision, labels = outcomes.decision, outcomes.labels
        assert decision.expected_cost is not None
        without = None
        if self.takes_classes(outcomes.class_names):
            without = outcomes.mean(self._paid(labels, outcomes.most_likely))
        paid = self.realized_cost(decision, labels)
        return Costs(
            mean=outcomes.mean(paid),
            expected=outcomes.mean(decision.expected_cost),
            without_rule=without,
            curve=None,
            of_rows=paid,
        )

    def table_columns(self, decision: Decision) -> dict[str, npt.NDArray[Any]]:
        """Return the expected cost, as column ``expected_cost``."""
        assert decision.expected_cost is not None
        return {"expected_cost": decision.expected_cost}

    def _threshold(self) -> float | None:
        """Return the least probability at which class 1 is taken, if the rule is such a threshold."""
        if self.cost.shape != (2, 2) or self.abstain_cost is not None:
            return None
        false_alarm, miss = self.cost[0, 1] - self.cost[0, 0], self.cost[1, 0] - self.cost[1, 1]
        return float(false_alarm / (false_alarm + miss)) if min(false_alarm, miss) > 0 else None

    def _if_decided(self, outcomes: Outcomes, abstain_cost: float) -> IfDecided:
        cheapest = outcomes.cheapest
        if cheapest is None:
            deciding = self.criterion(outcomes.probabilities.shape[1])._replace(abstain_cost=np.nan)
            judged = judge_probabilities(outcomes.probabilities, deciding, np.inf)
            assert judged.expected_cost is not None
            cheapest = Cheapest(judged.action, judged.expected_cost)
        paid = self._paid(outcomes.labels, cheapest.action)
        return IfDecided(*cheapest, paid, abstain_cost, self._tie)

    def _cost_curve(self, every: IfDecided, weights: Floats | None) -> CostCurve:
        rows = every.expected.size
        decided = np.unique(np.linspace(0, rows, _CURVE_POINTS).round().astype(np.int64))

        def up_to(values: Floats) -> Floats:
            sums = sum_to_ranks(every.expected, values, decided[1:] - 1, whole_ties=False)
            return np.concatenate([[0.0], sums.sum])

        if weights is None:
            total, covered, whole = up_to(every.paid), decided.astype(np.float64), float(rows)
        else:
            total, covered, whole = up_to(weights * every.paid), up_to(weights), float(weights.sum())
        total += every.abstain_cost * (whole - covered)
        return CostCurve(covered / whole, total / whole)

    def _check_settings(self, classes: int) -> None:
        check_class_count(self, self.cost.shape[0], classes)

    def criterion(self, classes: int) -> Criterion:
        """Use the least expected cost. Costs equal up to rounding go to the first action."""
        aside = np.nan if self.abstain_cost is None else self.abstain_cost
        return Criterion(Kind.cost, None, np.ascontiguousarray(self.cost), self._tie, aside)

    def _export(self, probabilities: Tensor, classes: int) -> ExportedDecision:
        del classes
        graph, wide = probabilities.graph, probabilities.cast(WIDE)
        costs = wide @ graph.fitted("cost", self.cost)
        action = (costs <= costs.row_min() + self._tie).row_argmax()
        cost = costs.pick(action)
        if self.abstain_cost is not None:
            abstain_cost = graph.fitted("abstain_cost", self.abstain_cost)
            abstained = cost > abstain_cost + self._tie
            action, cost = abstained.where(NO_ACTION, action), abstained.where(abstain_cost, cost)
        return ExportedDecision(action, expected_cost=cost)

    def _kept(self, name: str) -> Any:
        return self._action_names if name == "action_names" else super()._kept(name)
