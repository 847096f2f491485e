"""Decided rows with what came true, and what a rule makes of them: promises, costs, coverage."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, IntArray
from ..metrics import CostThresholdCurve
from .decision import Decision, Floats


class Outcomes(NamedTuple):
    """Rows that a rule decided, and their true classes.

    Attributes
    ----------
    probabilities : ndarray, shape (rows, classes)
        The calibrated probabilities that were decided.
    decision : Decision
        What the rule decided, as NumPy arrays.
    labels : ndarray of int64, shape (rows,)
        The true class of each row.
    most_likely : ndarray of int, shape (rows,)
        The class of the largest probability.
    class_names : sequence of str, shape (classes,)
        What the classes are called.
    groups : array of str or int, shape (rows,), or None
        The group of each row, for a rule that takes groups.
    sample_weight : ndarray, shape (rows,), or None
        How often each row counts; None where every row counts once.
    """

    probabilities: FloatArray
    decision: Decision
    labels: IntArray
    most_likely: npt.NDArray[np.integer]
    class_names: Sequence[str]
    groups: Array | None = None
    sample_weight: Floats | None = None

    def mean(self, values: npt.NDArray[Any]) -> float:
        """Return the mean of one value per row, weighted if there are weights."""
        if self.sample_weight is None:
            return float(values.mean())
        return float(np.average(values, weights=self.sample_weight))


class Promise(NamedTuple):
    """One promise of a rule, tested on rows with labels.

    Attributes
    ----------
    name : str
        Such as ``"risk"``.
    promised, observed : float
        What was promised, and what the rows show.
    p_value : float
        Chance of a figure at least as far on the wrong side, were the promise still true.
    least_p_value : float
        The p-value of the worst that so many rows could show: above the significance of an audit, these are
        too few rows to tell.
    words : str
        The finding as a sentence, without a full stop.
    """

    name: str
    promised: float
    observed: float
    p_value: float
    least_p_value: float
    words: str


class GroupCoverage(NamedTuple):
    """The prediction sets of one group of rows.

    Attributes
    ----------
    name : str
        What the group is called; empty where one threshold serves all rows.
    rows, covered : float
        Rows looked at, and those whose set holds the true class; by their weights, where there are any.
    classes : float
        How many classes these sets hold in all; by the weights too.
    fitted_rows : int
        Rows of the group that its threshold was fitted on, as many as count.
    effective_rows : float
        How many rows of equal weight know the coverage as well; `rows` where there are no weights.
    """

    name: str
    rows: float
    covered: float
    classes: float
    fitted_rows: int
    effective_rows: float


class CostCurve(NamedTuple):
    """Mean cost of a row when only the cheapest share of rows is decided and the rest set aside.

    Attributes
    ----------
    coverage : array (points,)
        Share of the rows decided, those of least expected cost first.
    cost : array (points,)
        Mean cost over all rows, those set aside included.
    """

    coverage: FloatArray
    cost: FloatArray


class IfDecided(NamedTuple):
    """The cost of each row if no row were set aside.

    Attributes
    ----------
    action : ndarray of int64, shape (rows,)
        The action of least expected cost.
    expected, paid : ndarray of float64, shape (rows,)
        What it was expected to cost, and what it costs by the true class.
    abstain_cost : float
        What it costs to set a row aside.
    tie : float
        Expected costs that differ by no more are equal.
    """

    action: npt.NDArray[np.int64]
    expected: Floats
    paid: Floats
    abstain_cost: float
    tie: float


class Costs(NamedTuple):
    """The cost of decisions.

    Attributes
    ----------
    mean, expected : float
        What a row cost on average, and what the rule expected.
    without_rule : float or None
        What a row would have cost by always taking the most likely class; None where actions are no classes.
    curve : CostCurve or None
        For a rule with a cost of setting aside.
    of_rows : ndarray of float64, shape (rows,), or None
        What each row cost, to compare groups of rows; None where that is not known.
    if_decided : IfDecided or None
        For a rule with a cost of setting aside: what every row would cost if it were decided.
    threshold_curve : CostThresholdCurve or None
        What every threshold on the probability of class 1 would cost, for a rule that has one.
    threshold : float or None
        That of the rule.
    """

    mean: float
    expected: float
    without_rule: float | None
    curve: CostCurve | None
    of_rows: Floats | None = None
    if_decided: IfDecided | None = None
    threshold_curve: CostThresholdCurve | None = None
    threshold: float | None = None
