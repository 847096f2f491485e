"""Decisions on the rows of a tally: actions, prediction sets and costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .._arrays import IntArray
from .._checks import check_integer, check_share
from ._decided_rows import MOST_ACTIONS, DecidedRows
from ._exact_sums import ExactSums
from ._tally_sums import Sums, standard_error
from ._tally_surplus import SURPLUS_SUMS, Surplus, add_surplus, by_sign, surplus_of_tally
from .cell_quantiles import LARGEST_CELL, cells_of_doubts
from .normal_mean import normal_interval, stretch_by_degrees
from .predictions import Floats
from .shares import WeightedShare, at_least, clopper_pearson, share_of_sums

_OF_DECISIONS, _OF_ACTIONS, _OF_SIZES, _OF_COSTS = "decisions", "actions", "set_sizes", "costs"
_OF_SURPLUS = "surplus"
_ROWS, _DECIDED, _RIGHT, _SETS, _COVERED, _COSTED, _SQUARED, _EXPECTING = range(8)
_EXPECTED = 8  # two keys: costs, and the sizes of negative ones
_COST_ROWS = 10
_DECIDED_SQUARES, _RIGHT_SQUARES, _DECIDED_ROWS, _SETS_SQUARES, _COVERED_SQUARES, _SETS_ROWS = range(11, 17)
_COST_SQUARES, _COST_OF_SQUARES = 17, 18  # the second is two keys, as the expected costs
_COSTED_WITHOUT, _COST_WITHOUT = 20, 21  # the second is two keys too
_DECISION_KEYS = 23
COST_CELLS = 2 * LARGEST_CELL  # of costs, and of negative ones


@dataclass(frozen=True)
class TallyDecisions:
    """Decisions on the rows of a tally that came with one.

    Attributes
    ----------
    weight, decided : float
        The weight of these rows, and of those that were not set aside.
    right : float
        The weight of the decided rows whose action is the number of the true class.
    actions : dict of int to float
        The weight of the rows for which each action was taken.
    set_sizes : ndarray, shape (classes + 1,), or None
        The weight of the sets with 0, 1, 2, ... classes; None without sets.
    set_coverage : float or None
        The share of the sets that hold the true class.
    mean_cost, cost_error : float or None
        The mean cost of a row, and its standard error; None where no costs were given.
    cost_interval : tuple of float or None
        The 95% interval of `mean_cost` by the normal law; NaN where fewer than 30 rows had costs.
    cost_without_rule : float or None
        The mean cost of a row without the rule; None where no such costs were given.
    surplus : Surplus or None
        The mean of what rows cost beyond what was expected, with its error, where both are known.
    expected_cost : float or None
        The mean cost that the rule expected; None for a rule without costs.
    risk_interval, set_coverage_interval : tuple of float, or None
        95% intervals of `risk` and `set_coverage` (Clopper-Pearson); None where no row was decided, and
        without sets.
    decided_rows, set_rows : float
        How many rows of equal weight know these two shares as well: their number, if all weights are 1.

    Examples
    --------
    >>> from softmaxlib import decisions, metrics
    >>> logits = [[3.0, 0.0], [0.0, 3.0], [0.5, 0.0]]
    >>> decision = decisions.Threshold(0.9).decide(logits)
    >>> tally = metrics.Tally(classes=2).update(logits, [0, 1, 1], decision=decision)
    >>> decided = tally.compute().decisions
    >>> decided.decided, decided.actions, decided.risk
    (2.0, {0: 1.0, 1: 1.0}, 0.0)
    """

    weight: float
    decided: float
    right: float
    actions: dict[int, float]
    set_sizes: Floats | None
    set_coverage: float | None
    mean_cost: float | None
    cost_error: float | None
    cost_interval: tuple[float, float] | None
    cost_without_rule: float | None
    surplus: Surplus | None
    expected_cost: float | None
    risk_interval: tuple[float, float] | None
    set_coverage_interval: tuple[float, float] | None
    decided_rows: float
    set_rows: float

    def risk_p_value(self, risk: float) -> float:
        """Return the p-value of the promise that actions are wrong at most this often.

        It is the probability that so many of the decided rows or more are wrong if each is with the
        probability `risk`.

        Parameters
        ----------
        risk : float
            The promised share of wrong actions, in (0, 1).

        Returns
        -------
        float
            NaN where no row was decided.

        Examples
        --------
        >>> from softmaxlib import decisions, metrics
        >>> logits = [[3.0, 0.0], [0.0, 3.0]]
        >>> decision = decisions.Threshold(0.9).decide(logits)
        >>> tally = metrics.Tally(classes=2).update(logits, [0, 0], decision=decision)
        >>> round(tally.compute().decisions.risk_p_value(0.1), 4)  # 1 - 0.9**2
        0.19
        """
        chance = check_share(risk, "risk", "0.05 means at most 5 wrong actions in 100")
        return _at_least(self.risk, self.decided_rows, chance)

    def set_coverage_p_value(self, coverage: float) -> float:
        """Return the p-value of the promise that sets hold the true class at least this often.

        The thresholds of the sets are taken as they are. The audit of `PredictionSets` also counts that they
        were fitted on a number of rows, and so rejects a little less often.

        Parameters
        ----------
        coverage : float
            The promised share of sets that hold the true class, in (0, 1).

        Returns
        -------
        float
            NaN without sets.

        Examples
        --------
        >>> from softmaxlib import decisions, metrics
        >>> logits = [[3.0, 0.0], [0.0, 3.0], [2.0, 0.0]]
        >>> rule = decisions.PredictionSets(alpha=0.5).fit(logits, [0, 1, 0])
        >>> tally = metrics.Tally(classes=2).update(logits, [0, 1, 1], decision=rule.decide(logits))
        >>> round(tally.compute().decisions.set_coverage_p_value(0.9), 4)
        0.271
        """
        chance = 1 - check_share(coverage, "coverage", "0.9 means 9 of 10 sets")
        missed = np.nan if self.set_coverage is None else 1 - self.set_coverage
        return _at_least(missed, self.set_rows, chance)

    def cost_p_value(self, fitted_rows: int | None = None) -> float:
        """Return the p-value of the promise that decisions cost on average at most what was expected.

        It is the probability of a mean surplus at least as large, by the normal law with a correction for
        skewness. The audit of `MinimumCost` draws the true classes from the probabilities instead.

        Parameters
        ----------
        fitted_rows : int, optional
            How many rows the probabilities were fitted on, such as ``policy.record_.calibration_rows``. What
            is expected is known only as well as they can tell. By default it is taken as it is.

        Returns
        -------
        float
            NaN where fewer than 30 rows had a cost and an expected one.

        Examples
        --------
        >>> import numpy as np
        >>> from softmaxlib import decisions, metrics
        >>> logits, labels = np.tile([2.0, 0.0], (100, 1)), np.repeat([0, 1], [80, 20])
        >>> decision = decisions.MinimumCost([[0, 1], [1, 0]]).decide(logits)  # expects 12 mistakes
        >>> tally = metrics.Tally(2).update(logits, labels, decision=decision, cost=labels != 0)
        >>> round(tally.compute().decisions.cost_p_value(), 4)
        0.0097
        """
        if fitted_rows is not None:
            fitted_rows = check_integer(fitted_rows, "fitted_rows", lower=1)
        return float("nan") if self.surplus is None else self.surplus.p_value(fitted_rows)

    @property
    def coverage(self) -> float:
        """The share of the rows that were decided."""
        return self.decided / self.weight

    @property
    def risk(self) -> float:
        """The share of wrong actions among the decided rows; NaN where none was decided."""
        return 1 - self.right / self.decided if self.decided else np.nan


def sizes_of_decision_sums(classes: int) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        _OF_DECISIONS: _DECISION_KEYS,
        _OF_ACTIONS: MOST_ACTIONS,
        _OF_SIZES: classes + 1,
        _OF_COSTS: 2 * COST_CELLS,
        _OF_SURPLUS: SURPLUS_SUMS,
    }


def add_decisions(sums: Sums, made: DecidedRows, labels: IntArray, weights: Floats | None) -> None:
    """Add what was decided on rows of positive weights."""
    of_all, kept, every = sums[_OF_DECISIONS], ~made.abstained, np.ones(labels.size, np.bool_)
    of_all.add_some(_ROWS, weights, every)
    of_all.add_some(_DECIDED, weights, kept)
    squares, right = None if weights is None else np.square(weights), kept & (made.action == labels)
    of_all.add_some(_DECIDED_SQUARES, squares, kept)
    of_all.add_some(_RIGHT_SQUARES, squares, right)
    of_all.add_some(_RIGHT, weights, right)
    of_all.add_whole(_DECIDED_ROWS, int(np.count_nonzero(kept)))
    sums[_OF_ACTIONS].weigh(made.action, MOST_ACTIONS, weights, kept & (made.action >= 0))
    if made.sets is not None:
        of_all.add_some(_SETS, weights, every)
        covered = made.sets[np.arange(labels.size), labels]
        of_all.add_some(_COVERED, weights, covered)
        of_all.add_some(_SETS_SQUARES, squares, every)
        of_all.add_some(_COVERED_SQUARES, squares, covered)
        of_all.add_whole(_SETS_ROWS, labels.size)
        sums[_OF_SIZES].weigh(made.sets.sum(axis=1), made.sets.shape[1] + 1, weights)
    if made.expected is not None:
        of_all.add_some(_EXPECTING, weights, every)
        of_all.add_rows(by_sign(_weighted(made.expected, weights)), _EXPECTED)
    if made.cost_without_rule is not None:
        of_all.add_some(_COSTED_WITHOUT, weights, every)
        of_all.add_rows(by_sign(_weighted(made.cost_without_rule, weights)), _COST_WITHOUT)
    if made.cost is not None:
        of_all.add_some(_COSTED, weights, every)
        of_all.add_whole(_COST_ROWS, labels.size)
        paid = _weighted(made.cost, weights)
        of_all.add_rows(np.square(paid)[None], _SQUARED)
        of_all.add_rows(by_sign(_weighted(paid, weights)), _COST_OF_SQUARES)
        of_all.add_some(_COST_SQUARES, squares, every)
        cell = cost_cells(made.cost)
        sums[_OF_COSTS].weigh(cell, 2 * COST_CELLS, weights)
        sums[_OF_COSTS].add(COST_CELLS + cell, _weighted(np.abs(made.cost), weights))
        if made.expected is not None:
            add_surplus(sums[_OF_SURPLUS], made.cost - made.expected, weights)


def decisions_of_tally(sums: Sums, classes: int, heaviest: float) -> TallyDecisions | None:
    """Return what was decided, on rows of no larger weight; None where no row came with a decision."""
    of_all = sums[_OF_DECISIONS]
    weight, costed, expecting, of_sets = (of_all.exact(key) for key in (_ROWS, _COSTED, _EXPECTING, _SETS))
    if not weight:
        return None
    mean = error = expected = interval = without = None
    if costed:
        mean = _total_cost(sums) / costed
        mixed = _signed(of_all, _COST_OF_SQUARES)
        error = standard_error(mean, costed, of_all.exact(_COST_SQUARES), mixed, of_all.exact(_SQUARED))
        rows = int(of_all.exact(_COST_ROWS))
        stretch = stretch_by_degrees(float(of_all.exact(_COST_SQUARES)) / heaviest**2, rows)
        interval = normal_interval(float(mean), error, rows, stretch=stretch)
    if expecting:
        expected = float(_signed(of_all, _EXPECTED) / expecting)
    if of_all.exact(_COSTED_WITHOUT):
        without = float(_signed(of_all, _COST_WITHOUT) / of_all.exact(_COSTED_WITHOUT))
    taken = sums[_OF_ACTIONS].known_keys()
    of_right = _share(of_all, _DECIDED, _RIGHT, _DECIDED_SQUARES, _RIGHT_SQUARES, _DECIDED_ROWS)
    of_covered = _share(of_all, _SETS, _COVERED, _SETS_SQUARES, _COVERED_SQUARES, _SETS_ROWS)
    right_interval, covered_interval = map(_interval, (of_right, of_covered))
    return TallyDecisions(
        weight=float(weight),
        decided=float(of_all.exact(_DECIDED)),
        right=float(of_all.exact(_RIGHT)),
        actions=dict(zip(taken, sums[_OF_ACTIONS].array(taken).tolist(), strict=True)),
        set_sizes=sums[_OF_SIZES].array(classes + 1) if of_sets else None,
        set_coverage=float(of_all.exact(_COVERED) / of_sets) if of_sets else None,
        mean_cost=None if mean is None else float(mean),
        cost_error=error,
        cost_interval=interval,
        cost_without_rule=without,
        surplus=surplus_of_tally(sums[_OF_SURPLUS]),
        expected_cost=expected,
        risk_interval=None if right_interval is None else (1 - right_interval[1], 1 - right_interval[0]),
        set_coverage_interval=covered_interval,
        decided_rows=float(of_right.rows),
        set_rows=float(of_covered.rows),
    )


def _share(sums: ExactSums, *keys: int) -> WeightedShare:
    """Return the share that the sums of these keys give, with 0 effective rows where no row counts."""
    total, hits, squares, hit_squares, rows = (np.array([float(sums.exact(key))]) for key in keys)
    if not rows[0]:
        return WeightedShare(np.array(np.nan), np.array(0.0))
    share = share_of_sums(total, hits, squares, hit_squares, rows)
    return WeightedShare(share.value[0], share.rows[0])


def _interval(share: WeightedShare) -> tuple[float, float] | None:
    if not share.rows:
        return None
    low, high = clopper_pearson(share, 0.95)
    return float(low), float(high)


def _at_least(share: float, rows: float, chance: float) -> float:
    return at_least(WeightedShare(np.array(share), np.array(rows)), chance) if rows else float("nan")


def cost_cells(cost: Floats) -> IntArray:
    """Return the cell of each cost, one of `COST_CELLS`."""
    return cells_of_doubts(np.abs(cost)) + np.where(cost < 0, LARGEST_CELL, 0)


def mean_costs(sums: Sequence[Sums], cells: IntArray) -> Floats:
    """Return the mean cost of the rows of some parts in each of these cells."""
    costs = [one[_OF_COSTS] for one in sums]
    weight, size = (
        np.sum([one.array((offset + cells).tolist()) for one in costs], axis=0) for offset in (0, COST_CELLS)
    )
    return np.where(cells < LARGEST_CELL, size, -size) / weight


def _signed(sums: ExactSums, key: int) -> Fraction:
    """Return a sum of both signs: that of the positive terms minus the sizes of the others."""
    return sums.exact(key) - sums.exact(key + 1)


def _total_cost(sums: Sums) -> Fraction:
    costs = sums[_OF_COSTS]
    cells = (key - COST_CELLS for key in costs.known_keys() if key >= COST_CELLS)
    return sum(
        (costs.exact(COST_CELLS + cell) * (1 if cell < LARGEST_CELL else -1) for cell in cells),
        start=Fraction(0),
    )


def _weighted(values: Floats, weights: Floats | None) -> Floats:
    return values if weights is None else values * weights
