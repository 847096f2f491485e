"""Levels of weights: rows whose weights differ by little are taken together."""

from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from ._bins import group_sums
from ._exact_sums import ExactSums
from .predictions import Floats

_HALF = np.sqrt(0.5)
_QUARTERS = np.array([_HALF * np.sqrt(_HALF), _HALF, np.sqrt(_HALF)])  # 2^-3/4, 2^-1/2 and 2^-1/4
LEAST_LEVEL = -4 * 1075  # no float64 has one below
LEVELS = 4 * (1075 + 1025)


def quarter_levels(weights: Floats) -> IntArray:
    """Return 4 log2 of each weight, rounded down, with the same result on every machine."""
    part, exponent = np.frexp(weights)
    return 4 * (exponent.astype(np.int64) - 1) + np.searchsorted(_QUARTERS, part, side="right")


def half_levels(weights: Floats) -> IntArray:
    """Return the same of 2 log2."""
    return quarter_levels(weights) >> 1


class LeveledRows(NamedTuple):
    """The rows of each cell, by the level of their weight.

    Attributes
    ----------
    cell, level : ndarray of int
        Their cell, and the level of their weight; rising, first by level.
    rows, weight : ndarray
        How many rows there are, and their weight.
    """

    cell: IntArray
    level: IntArray
    rows: Floats
    weight: Floats


def size_of_leveled(cells: int) -> int:
    """Return the number of keys of `add_leveled`."""
    return cells * (1 + 2 * LEVELS)


def add_leveled(
    sums: ExactSums, cell: IntArray, cells: int, weights: Floats | None, levels: IntArray | None
) -> None:
    """Add rows to their cell, one of `cells`, and the level of their weight.

    Rows of weight 1 are only counted, whether they came with a weight or not.
    """
    size = size_of_leveled(cells)
    if weights is None or levels is None:
        sums.weigh(cell, size, None)
        return
    others = weights != 1
    sums.weigh(cell, size, None, ~others)
    keys = cells + 2 * ((levels - LEAST_LEVEL) * cells + cell)
    sums.weigh(keys, size, None, others)
    sums.weigh(keys + 1, size, weights, others)


def leveled_rows(sums: ExactSums, cells: int) -> LeveledRows:
    """Return the rows of all cells."""
    known = np.array(sums.known_keys(), dtype=np.int64)
    counted, others = known[known < cells], known[known >= cells]
    others = others[(others - cells) % 2 == 0]
    key = np.concatenate([counted - LEAST_LEVEL * cells, (others - cells) // 2])
    ones = sums.array(counted.tolist())
    names, place = np.unique(key, return_inverse=True)
    of_rows, of_weights = (
        group_sums(place, names.size, np.concatenate([ones, sums.array(found.tolist())]))
        for found in (others, others + 1)
    )
    return LeveledRows(names % cells, names // cells + LEAST_LEVEL, of_rows, of_weights)


def mean_weights(rows: LeveledRows) -> dict[int, float]:
    """Return the mean weight of the rows of each level."""
    levels, place = np.unique(rows.level, return_inverse=True)
    means = group_sums(place, levels.size, rows.weight) / group_sums(place, levels.size, rows.rows)
    return dict(zip(levels.tolist(), means.tolist(), strict=True))
