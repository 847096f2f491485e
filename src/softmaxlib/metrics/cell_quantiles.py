"""Quantiles of numbers between 0 and 1 that are counted in cells, with bounds that hold the exact ones."""

import math
from dataclasses import dataclass

import numpy as np

from .._arrays import IntArray
from .predictions import Floats

_CELL_BITS = 46  # of a float64, 6 of the 52 behind the point stay: 64 cells an octave
LARGEST_CELL = 1 << 17
_HALF = int(np.array(0.5).view(np.int64) >> _CELL_BITS)  # the cell that begins at 1/2
_ROUNDING = 1e-12  # of sums of weights


@dataclass(frozen=True)
class CellQuantiles:
    """Numbers from 0 to 1, by the weight of the rows in each cell of them.

    Attributes
    ----------
    lower, upper : ndarray, shape (cells,)
        The least and the largest number of each cell that has rows, rising.
    weight : ndarray, shape (cells,)
        What the rows of the cell weigh.
    """

    lower: Floats
    upper: Floats
    weight: Floats

    def reached(self, weight: float) -> tuple[float, float]:
        """Return two numbers that hold the least one up to which the rows weigh so much.

        Both are infinite where all rows together weigh less.
        """
        cumulated = np.cumsum(self.weight)
        cell = int(np.searchsorted(cumulated, weight))
        if cell == cumulated.size:
            return math.inf, math.inf
        return float(self.lower[cell]), float(self.upper[cell])

    def quantile(self, level: float) -> tuple[float, float]:
        """Return two numbers that hold the least one that a share `level` of the weight does not exceed."""
        return self.reached(level * float(self.weight.sum()) * (1 - _ROUNDING))


def needed_weight(total: Floats, heaviest: Floats, alpha: float) -> Floats:
    """Return the least weight of the scores up to a conformal threshold, reduced slightly for rounding.

    That is a share 1 - alpha of all, one more row as heavy as the heaviest included.
    """
    return (1 - alpha) * (total + heaviest) * (1 - _ROUNDING)


def cells_of_doubts(doubt: Floats) -> IntArray:
    """Return the cell of each number: 64 cells per octave, so that a cell is at most 1.6% wide."""
    return np.ascontiguousarray(doubt).view(np.int64) >> _CELL_BITS


def doubts_of_cells(cells: IntArray) -> tuple[Floats, Floats]:
    """Return the smallest and the largest number of each cell."""
    first, last = cells << _CELL_BITS, (cells + 1 << _CELL_BITS) - 1
    return first.view(np.float64), np.minimum(last.view(np.float64), 1.0)


def cells_of_scores(loss: Floats) -> IntArray:
    """Return the cell of 1 - p from -log p; above 1/2 it is that of p, so that both ends are equally fine."""
    score, probability = -np.expm1(-loss), np.exp(-loss)
    return np.where(score < 0.5, cells_of_doubts(score), 2 * _HALF - cells_of_doubts(probability))


def scores_of_cells(cells: IntArray) -> tuple[Floats, Floats]:
    """Return the smallest and the largest 1 - p of each cell."""
    is_low = cells < _HALF
    low, high = doubts_of_cells(np.where(is_low, cells, 2 * _HALF - cells))
    return np.where(is_low, low, 1 - high), np.where(is_low, high, 1 - low)
