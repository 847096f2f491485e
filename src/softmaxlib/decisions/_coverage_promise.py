"""A test whether prediction sets contain the true class as often as promised, by the exact law."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from ..metrics.shares import share_of_sums
from ._promise_cells import PromiseCells
from .conformal_threshold import threshold_rank
from .decision import Floats
from .outcomes import GroupCoverage, Outcomes, Promise

_ROUNDING = 1e-9


def coverage_cells(outcomes: Outcomes, group: IntArray) -> IntArray:
    """Return a number for each row: by its group, whether its set holds the true class, and its size."""
    sets = outcomes.decision.sets
    assert sets is not None
    covered, sizes = sets[np.arange(len(group)), outcomes.labels], sets.sum(axis=1)
    return (group * 2 + covered) * (sets.shape[1] + 1) + sizes


def coverage_sums(cells: PromiseCells, groups: int, classes: int) -> Floats:
    """Return sums over the rows of each group, (6, groups), from those of `coverage_cells`."""
    kind, size = np.divmod(cells.cell, classes + 1)
    group, covered = np.divmod(kind, 2)
    weight, square = cells.weight, cells.square
    values = (weight, weight * covered, weight * size, square, square * covered, cells.rows)
    return np.stack([np.bincount(group, one, groups) for one in values]).astype(np.float64)


class CoverageSums(NamedTuple):
    """Of each group: the weight of the rows, of those whose set holds the true class, and of all classes in
    sets; the squares of the first two; and the rows that have a weight.
    """

    rows: Floats
    held: Floats
    classes: Floats
    squares: Floats
    held_squares: Floats
    counted: Floats


def group_coverage(
    sums: CoverageSums, names: Sequence[str], fitted_rows: IntArray, is_weighted: bool
) -> tuple[GroupCoverage, ...]:
    """Return how often the sets hold the true class, within each group that occurs.

    Parameters
    ----------
    sums : CoverageSums
        Of rows with sets.
    names, fitted_rows : sequence of str, array of int (groups,)
        What each group is called, and how many rows its threshold rests on.
    is_weighted : bool
        Whether the rows have weights.
    """
    rows, held, classes = sums[:3]
    if is_weighted:
        effective = share_of_sums(rows, held, sums.squares, sums.held_squares, sums.counted).rows
    else:
        rows, held, classes = (one.astype(np.int64) for one in (rows, held, classes))
        effective = rows
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
    """Return the p-value of this number of covered rows, and the smallest possible one."""
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
