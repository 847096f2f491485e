"""Outcomes of weighted rows, drawn from their probabilities in a few cells of similar rows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._bins import group_sums
from .predictions import Floats

_LEVELS_OF_DOUBLING = 2  # rows whose weights differ by less are drawn together


class WeightedCells(NamedTuple):
    """Rows drawn together: of one group, and of about the same weight.

    The weight of the hits that a draw gives has the mean and the variance of the rows themselves, however
    different their weights and probabilities are.

    Attributes
    ----------
    group : ndarray of int
        The group of each cell.
    rows : ndarray of int
        How many rows it has.
    chance, scale : ndarray
        The probability of a hit, and what one hit more adds.
    mean : ndarray
        The expected weight of the hits.
    """

    group: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    chance: Floats
    scale: Floats
    mean: Floats

    @classmethod
    def of(cls, group: npt.NDArray[np.int64], probability: Floats, weights: Floats) -> "WeightedCells":
        """Return the cells of rows; those of weight 0 are left out."""
        counts = weights > 0
        group, probability, weights = group[counts], probability[counts], weights[counts]
        level = np.floor(_LEVELS_OF_DOUBLING * np.log2(weights)).astype(np.int64)
        level -= level.min()
        keys = group * (int(level.max()) + 1) + level
        _, first, cell, rows = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        squares = weights**2
        chance = np.clip(np.bincount(cell, squares * probability) / np.bincount(cell, squares), 0, 1)
        variance = np.bincount(cell, squares * probability * (1 - probability))
        of_rows = rows * chance * (1 - chance)
        scale = np.sqrt(np.divide(variance, of_rows, out=np.zeros(rows.size), where=of_rows > 0))
        return cls(group[first], rows, chance, scale, group_sums(cell, rows.size, weights * probability))

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        """Return the weight of the hits in each cell, shape (count, cells)."""
        hits = generator.binomial(self.rows, self.chance, (count, self.rows.size))
        return self.mean + self.scale * (hits - self.rows * self.chance)
