"""Permutation tests for differences between groups, from the number of rows of each group in each cell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .holm import holm_adjusted
from .predictions import Floats
from .simulation import simulated_p_value

_DRAWS = 1999
_DIFFER = 0.05


@dataclass(frozen=True)
class GroupDifference:
    """The test for differences of one figure between groups.

    Attributes
    ----------
    figure : str
        ``"accuracy"``, ``"calibration"``, ``"share decided"``, ``"risk"`` or ``"cost"``.
    p_value : float
        Chance of differences as large as found, if a row's group said nothing about it.
    adjusted_p_value : float
        The same for all figures together (Holm).
    differs : bool
        Whether that is at most 0.05.

    Examples
    --------
    >>> from softmaxlib import metrics
    >>> tally = metrics.Tally(classes=2, tests=True)
    >>> for group, label in (("old", 0), ("new", 1)):
    ...     tally = tally.update([[2.0, 0.0]] * 20, [label] * 20, groups=[group] * 20)
    >>> [one.differs for one in tally.compute().differences if one.figure == "accuracy"]
    [True]
    """

    figure: str
    p_value: float
    adjusted_p_value: float
    differs: bool


class GroupTable(NamedTuple):
    """Rows of some groups, by cells of a value.

    Attributes
    ----------
    rows : ndarray of int, shape (groups, cells)
        The number of rows.
    value, weight : ndarray, shape (cells,)
        The value of the rows of a cell, and what each of them weighs.
    """

    rows: npt.NDArray[np.int64]
    value: Floats
    weight: Floats


def tables_p_value(tables: Sequence[GroupTable]) -> float:
    r"""Return the chance of differences as large as found, if values don't depend on the group.

    The values, each with its weight, are shuffled among the groups, whose sizes stay the same; within each of
    the tables, which are of the same groups. The statistic is

    .. math:: \sum_g W_g (m_g - m)^2

    with the weight and the mean of each group.

    References
    ----------
    Pitman, "Significance tests which may be applied to samples from any populations", Supplement to the
    Journal of the Royal Statistical Society 4 (1937); Mantel, Haenszel, "Statistical aspects of the analysis
    of data from retrospective studies of disease", Journal of the National Cancer Institute 22 (1959), for
    strata; Patefield, "Algorithm AS 159: an efficient method of generating random R x C tables", Applied
    Statistics 30 (1981).
    """

    def statistic(drawn: list[npt.NDArray[np.int64]]) -> Floats:
        """Compute the statistic of tables (..., groups, cells), one list entry per stratum."""
        total = sum(rows @ table.weight for rows, table in zip(drawn, tables, strict=True))
        of_values = sum(
            rows @ (table.weight * table.value) for rows, table in zip(drawn, tables, strict=True)
        )
        mean = np.divide(of_values, total, out=np.zeros(np.shape(total)), where=np.asarray(total) > 0)
        grand = np.sum(of_values, axis=-1, keepdims=True) / np.sum(total, axis=-1, keepdims=True)
        return (total * (mean - grand) ** 2).sum(axis=-1)

    laws = [_shuffled(table.rows) for table in tables]

    def draw(generator: np.random.Generator, count: int) -> Floats:
        return statistic([law(generator, count) for law in laws])

    return simulated_p_value(draw, float(statistic([table.rows for table in tables])), _DRAWS)


def _shuffled(rows: npt.NDArray[np.int64]) -> Callable[[np.random.Generator, int], npt.NDArray[np.int64]]:
    """Return a function that draws tables (count, groups, cells) with the sums of one."""
    from scipy.stats import random_table

    of_groups, of_cells = rows.sum(axis=1), rows.sum(axis=0)
    groups, cells = np.flatnonzero(of_groups), np.flatnonzero(of_cells)
    # the generator of SciPy gives wrong numbers for one group, one cell, or empty ones
    if groups.size < 2 or cells.size < 2:
        return lambda generator, count: np.broadcast_to(rows, (count, *rows.shape))
    law = random_table(of_groups[groups], of_cells[cells])

    def draw(generator: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        drawn = np.zeros((count, *rows.shape), np.int64)
        drawn[:, groups[:, None], cells] = law.rvs(count, random_state=generator)
        return drawn

    return draw


def adjusted_differences(p_values: Mapping[str, float]) -> tuple[GroupDifference, ...]:
    """Return the tests of some figures together, by their p-values."""
    adjusted = holm_adjusted(list(p_values.values())).tolist()
    return tuple(
        GroupDifference(figure, p_value, together, together <= _DIFFER)
        for (figure, p_value), together in zip(p_values.items(), adjusted, strict=True)
    )
