"""Outcomes of weighted rows, drawn from their probabilities in a few cells of similar rows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ._bins import group_sums
from ._weight_levels import half_levels
from .predictions import Floats


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
        """Return the cells of rows, those of weights whose half levels agree; weight 0 is left out."""
        counts = weights > 0
        group, probability, weights = group[counts], probability[counts], weights[counts]
        level = half_levels(weights)
        level -= level.min()
        keys = group * (int(level.max()) + 1) + level
        _, first, cell, rows = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        sums = (group_sums(cell, rows.size, one) for one in weighted_terms(probability, weights))
        return cls.of_sums(group[first], rows, *sums)

    @classmethod
    def of_sums(
        cls,
        group: IntArray,
        rows: IntArray,
        stated: Floats,
        squares: Floats,
        chances: Floats,
        variance: Floats,
    ) -> "WeightedCells":
        """Return the cells by the number of their rows and the sums of their `weighted_terms`."""
        chance = np.divide(chances, squares, out=np.zeros(rows.size), where=squares > 0)
        chance = np.clip(chance, 0, 1)
        of_rows = rows * chance * (1 - chance)
        scale = np.sqrt(np.divide(variance, of_rows, out=np.zeros(rows.size), where=of_rows > 0))
        return cls(group, rows, chance, scale, stated)

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        """Return the weight of the hits in each cell, shape (count, cells)."""
        hits = generator.binomial(self.rows, self.chance, (count, self.rows.size))
        return self.mean + self.scale * (hits - self.rows * self.chance)


def weighted_terms(probability: Floats, weights: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return w p, w^2, w^2 p and w^2 p (1 - p) of each row."""
    squares = weights**2
    chances = squares * probability
    return weights * probability, squares, chances, chances * (1 - probability)
