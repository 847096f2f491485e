"""Whether prediction sets hold the true class as often as promised, by the exact law."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ..metrics.shares import share_of_sums
from .conformal_threshold import threshold_rank
from .outcomes import GroupCoverage, Outcomes, Promise

_ROUNDING = 1e-9


def group_coverage(
    outcomes: Outcomes, group: IntArray, names: Sequence[str], fitted_rows: IntArray
) -> tuple[GroupCoverage, ...]:
    """How often the sets hold the true class, within each group that occurs.

    Parameters
    ----------
    outcomes : Outcomes
        Rows with sets.
    group : array of int (rows,)
        The group of each row.
    names, fitted_rows : sequence of str, array of int (groups,)
        What each is called, and how many rows its threshold rests on.
    """
    sets, weights = outcomes.decision.sets, outcomes.sample_weight
    assert sets is not None
    covered, sizes = sets[np.arange(len(group)), outcomes.labels], sets.sum(axis=1)

    def sums(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.bincount(group, values, len(names))

    if weights is None:
        rows = effective = np.bincount(group, minlength=len(names))
        held, classes = sums(covered).astype(np.int64), sums(sizes).astype(np.int64)
    else:
        rows, held, classes = sums(weights), sums(weights * covered), sums(weights * sizes)
        squares = weights**2
        of_squares = sums(squares), sums(squares * covered)
        effective = share_of_sums(rows, held, *of_squares, sums(weights > 0)).rows
    columns = rows, held, classes, fitted_rows, effective
    every = zip(names, *(column.tolist() for column in columns), strict=True)
    return tuple(GroupCoverage(*one) for one in every if one[1])


def coverage_promise(alpha: float, coverage: Sequence[GroupCoverage]) -> Promise:
    """Test coverage in the group that fares worst, its p-value times the number of groups (Bonferroni)."""
    tests = [_coverage_test(alpha, group) for group in coverage]
    worst, (p_value, _) = min(zip(coverage, tests, strict=True), key=lambda pair: pair[1][0])
    observed = worst.covered / worst.rows
    of_sets = f"{observed:.2%} of the sets hold the true class, and {1 - alpha:.2%} are promised"
    return Promise(
        "coverage",
        1 - alpha,
        observed,
        min(1.0, len(tests) * p_value),
        min(1.0, len(tests) * min(least for _, least in tests)),
        of_sets if not worst.name else f"in the group that fares worst ({worst.name}), {of_sets}",
    )


def _coverage_test(alpha: float, group: GroupCoverage) -> tuple[float, float]:
    """The p-value of so many covered rows, and the least that so many rows can reach."""
    from scipy import stats

    rank = threshold_rank(group.fitted_rows, alpha)
    if rank > group.fitted_rows:  # its sets hold every class
        return 1.0, 1.0
    # of weighted rows as many whole ones as they are at least, so that no p-value is too small
    rows = math.floor(group.effective_rows + _ROUNDING)
    covered = math.ceil(rows * group.covered / group.rows - _ROUNDING)
    # the coverage of a fitted threshold is itself random: Beta, so that the count is beta-binomial
    law = stats.betabinom(rows, rank, group.fitted_rows + 1 - rank)
    return float(law.cdf(covered)), float(law.cdf(0))
