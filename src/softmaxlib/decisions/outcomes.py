"""Decided rows with their true classes, and the promises, costs and coverage of a rule."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, IntArray
from ..metrics import CostThresholdCurve
from .decision import Decision, Floats


class Cheapest(NamedTuple):
    """The least expensive action of each row, set aside or not.

    Attributes
    ----------
    action : ndarray of int64, shape (rows,)
        The action of least expected cost.
    expected_cost : ndarray of float64, shape (rows,)
        Its expected cost.
    """

    action: npt.NDArray[np.int64]
    expected_cost: Floats


class Outcomes(NamedTuple):
    """Rows that a rule decided, and their true classes.

    Attributes
    ----------
    probabilities : ndarray, shape (rows, classes)
        The calibrated probabilities of the decision.
    decision : Decision
        The decision of the rule, as NumPy arrays.
    labels : ndarray of int64, shape (rows,)
        The true class of each row.
    most_likely : ndarray of int, shape (rows,)
        The class of the largest probability.
    class_names : sequence of str, shape (classes,)
        Names of the classes.
    groups : array of str or int, shape (rows,), or None
        The group of each row, for a rule that takes groups.
    sample_weight : ndarray, shape (rows,), or None
        Weight of each row, or None if all are 1.
    cheapest : Cheapest or None
        As the pass over the rows found it; None where the rule has no costs, or it was not looked for.
    """

    probabilities: FloatArray
    decision: Decision
    labels: IntArray
    most_likely: npt.NDArray[np.integer]
    class_names: Sequence[str]
    groups: Array | None = None
    sample_weight: Floats | None = None
    cheapest: Cheapest | None = None

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
        The promised and the observed figure.
    p_value : float
        Probability of a figure at least this bad if the promise is true.
    least_p_value : float
        The p-value of the worst possible result of these rows. If it is above the significance level of an
        audit, there are too few rows to tell.
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
        Name of the group, or empty if one threshold applies to all rows.
    rows, covered : float
        Number of rows, and of rows whose set contains the true class, weighted if there are weights.
    classes : float
        Total number of classes in these sets, also weighted.
    fitted_rows : int
        Number of rows in the fit of the threshold of the group.
    effective_rows : float
        Effective number of rows, which is `rows` without weights.
    """

    name: str
    rows: float
    covered: float
    classes: float
    fitted_rows: int
    effective_rows: float


class CostCurve(NamedTuple):
    """Mean cost per row if only the cheapest share of rows is decided and the rest set aside.

    Attributes
    ----------
    coverage : array (points,)
        Share of decided rows, in order of expected cost.
    cost : array (points,)
        Mean cost over all rows, including those set aside.
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
        Its expected cost, and its cost given the true class.
    abstain_cost : float
        Cost of setting a row aside.
    tie : float
        Expected costs that differ by at most this are equal.
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
        Mean cost per row, and the mean expected cost.
    without_rule : float or None
        Mean cost per row of always taking the most likely class, or None if actions are not classes.
    curve : CostCurve or None
        Cost against coverage, for a rule with a cost of setting aside.
    of_rows : ndarray of float64, shape (rows,), or None
        Cost of each row, to compare groups of rows, or None if unknown.
    if_decided : IfDecided or None
        For a rule with a cost of setting aside, the cost of each row if it were decided.
    threshold_curve : CostThresholdCurve or None
        Cost of every threshold on the probability of class 1, for a rule with such a threshold.
    """

    mean: float
    expected: float
    without_rule: float | None
    curve: CostCurve | None
    of_rows: Floats | None = None
    if_decided: IfDecided | None = None
    threshold_curve: CostThresholdCurve | None = None
