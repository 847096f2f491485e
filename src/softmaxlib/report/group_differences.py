"""Permutation tests for differences between groups of rows, one for each figure."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ..metrics.group_tables import GroupTable, tables_p_value
from ..metrics.predictions import Floats

_LEVELS = 32  # of values, or of pairs of value and weight; if there are more, similar ones are merged
_WEIGHTS_OF_DOUBLING = 2
_SAMPLED = 10_000  # numbers that are looked at before all of them


class Compared(NamedTuple):
    """One value per row, whose mean is compared between groups.

    Attributes
    ----------
    value : ndarray, shape (rows,)
        Such as whether the row was decided rightly.
    group : ndarray of int, shape (rows,)
        The group of each row.
    stratum : ndarray of int, shape (rows,), or None
        Rows are shuffled among groups only within each of these.
    weights : ndarray, shape (rows,), or None
        How often each row counts.
    """

    value: Floats
    group: IntArray
    stratum: IntArray | None
    weights: Floats | None


def permutation_p_value(rows: Compared) -> float:
    r"""Return the chance of differences as large as found, if values don't depend on the group.

    The values, each with its weight, are shuffled among the groups, whose sizes stay the same; within each
    stratum if there are any. The statistic is

    .. math:: \sum_g W_g (m_g - m)^2

    with the weight and the mean of each group. With strata, the mean of its stratum is subtracted from each
    value first. If there are many different values, similar ones are merged, so that the time does not grow
    with the number of rows; the test of the merged values is still exact.
    """
    groups = int(rows.group.max()) + 1
    stratum = np.zeros(rows.group.size, np.int64) if rows.stratum is None else rows.stratum
    tables = []
    for one in np.unique(stratum).tolist():
        inside = stratum == one
        of_rows = None if rows.weights is None else rows.weights[inside]
        # differences between strata are not differences between groups
        surplus = rows.value[inside] - np.average(rows.value[inside], weights=of_rows)
        cell, value, weight = _cells(surplus, of_rows)
        counts = np.bincount(rows.group[inside] * value.size + cell, minlength=groups * value.size)
        tables.append(GroupTable(counts.reshape(groups, value.size), value, weight))
    return tables_p_value(tables)


def _cells(value: Floats, weights: Floats | None) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Return the cell of each row, and the value and weight of the rows of each cell."""
    weight = np.ones(value.size) if weights is None else weights
    place = _levels(value)
    if weights is not None:
        kind = _places_of_few(weight)
        if kind is None:
            kind = np.floor(_WEIGHTS_OF_DOUBLING * np.log2(weight)).astype(np.int64)
            kind -= kind.min()
        place = place * (int(kind.max()) + 1) + kind
    every = np.bincount(place)
    cell, rows = (np.cumsum(every > 0) - 1)[place], every[every > 0]
    mean = np.bincount(cell, weight * value) / np.bincount(cell, weight)
    return cell, mean, np.bincount(cell, weight) / rows


def _levels(value: Floats) -> npt.NDArray[np.int64]:
    place = _places_of_few(value)
    if place is not None:
        return place
    edges = np.quantile(value, np.arange(1, _LEVELS) / _LEVELS)
    return np.searchsorted(np.unique(edges), value, side="right")


def _places_of_few(numbers: Floats) -> npt.NDArray[np.int64] | None:
    """Return the place of each number among the different ones, or None where these are many."""
    if np.unique(numbers[:_SAMPLED]).size > _LEVELS:
        return None
    distinct = np.unique(numbers)
    return np.searchsorted(distinct, numbers) if distinct.size <= _LEVELS else None
