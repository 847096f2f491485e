"""Outcomes of weighted rows, drawn from their probabilities: of each row, or of cells of similar rows."""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ._bins import group_sums
from ._weight_levels import quarter_levels
from .predictions import Floats

_MOST_EVENTS = 2000  # expected in a draw, above which rows are drawn in cells


class WeightedOutcomes(Protocol):
    """Rows whose outcomes can be drawn."""

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        """Return the weight of the hits in each group, shape (count, groups)."""
        ...


def weighted_outcomes(
    group: npt.NDArray[np.int64], groups: int, probability: Floats, weights: Floats
) -> WeightedOutcomes:
    """Return the outcomes of rows: of each row, or of cells where that would take long.

    Where few rows are expected to have the less likely outcome, a draw must be able to give exactly what the
    rows gave. Rows of weight 0 are left out.
    """
    counts = weights > 0
    group, probability, weights = group[counts], probability[counts], weights[counts]
    rare = np.minimum(probability, 1 - probability)
    if rare.sum() <= _MOST_EVENTS:
        return RowOutcomes.of(group, groups, probability, weights)
    level = quarter_levels(weights)
    level -= level.min()
    keys = group * (int(level.max()) + 1) + level
    _, first, cell, rows = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    sums = (group_sums(cell, rows.size, one) for one in weighted_terms(probability, weights))
    return WeightedCells.of_sums(group[first], groups, rows, *sums)


class RowOutcomes(NamedTuple):
    """The outcomes of single rows, by the events that the less likely of two outcomes happens.

    An event of a row comes any number of times, by Poisson's law, with the rate -log(1 - q) for the
    probability q: it comes at least once with the probability q, whatever the other rows do.

    Attributes
    ----------
    group : ndarray of int
        The group of each row.
    change : ndarray
        What its event adds to the weight of the hits.
    rates : ndarray
        The sum of the rates of the rows up to each one.
    usual : ndarray, shape (groups,)
        The weight of the hits without events.
    """

    group: npt.NDArray[np.int64]
    change: Floats
    rates: Floats
    usual: Floats

    @classmethod
    def of(
        cls, group: npt.NDArray[np.int64], groups: int, probability: Floats, weights: Floats
    ) -> "RowOutcomes":
        """Return the outcomes of rows by their probabilities of a hit."""
        is_likely = probability > 0.5
        rare = np.where(is_likely, 1 - probability, probability)
        return cls(
            group,
            np.where(is_likely, -weights, weights),
            np.cumsum(-np.log1p(-rare)),
            group_sums(group, groups, weights * is_likely),
        )

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        """Return the weight of the hits in each group, shape (count, groups)."""
        rows, groups = self.group.size, self.usual.size
        events = generator.poisson(self.rates[-1], count)
        place = generator.random(int(events.sum())) * self.rates[-1]
        row = np.minimum(np.searchsorted(self.rates, place, side="right"), rows - 1)
        once = np.unique(np.repeat(np.arange(count), events) * rows + row)
        draw, row = np.divmod(once, rows)
        changes = group_sums(draw * groups + self.group[row], count * groups, self.change[row])
        return self.usual + changes.reshape(count, groups)


class WeightedCells(NamedTuple):
    """Rows drawn together: of one group, and of about the same weight.

    A cell has as many rows of the less likely outcome as a binomial law gives, each of the mean weight that
    such rows are expected to have. The mean is that of the rows themselves, and for rows of one weight no
    other weights come out than rows can have.

    Attributes
    ----------
    group : ndarray of int
        The group of each cell.
    groups : int
        How many groups there are.
    rows : ndarray of int
        How many rows a cell has.
    rare : ndarray
        The probability of the less likely outcome.
    change : ndarray
        What a row that has it adds to the weight of the hits.
    usual : ndarray
        The weight of the hits without such rows.
    """

    group: npt.NDArray[np.int64]
    groups: int
    rows: npt.NDArray[np.int64]
    rare: Floats
    change: Floats
    usual: Floats

    @classmethod
    def of_sums(
        cls,
        group: IntArray,
        groups: int,
        rows: IntArray,
        stated: Floats,
        weight: Floats,
        chances: Floats,
    ) -> "WeightedCells":
        """Return the cells by the number of their rows and the sums of their `weighted_terms`."""
        is_likely = chances > rows / 2
        rare = np.where(is_likely, rows - chances, chances)
        of_rare = np.where(is_likely, weight - stated, stated)
        mean = np.divide(of_rare, rare, out=np.zeros(rows.size), where=rare > 0)
        return cls(
            group,
            groups,
            rows,
            np.clip(rare / rows, 0, 1),
            np.where(is_likely, -mean, mean),
            np.where(is_likely, weight, 0.0),
        )

    def draw(self, generator: np.random.Generator, count: int) -> Floats:
        """Return the weight of the hits in each group, shape (count, groups)."""
        found = generator.binomial(self.rows, self.rare, (count, self.rows.size))
        place = np.arange(count)[:, None] * self.groups + self.group
        of_cells = self.usual + self.change * found
        return group_sums(place.ravel(), count * self.groups, of_cells.ravel()).reshape(count, self.groups)


def weighted_terms(probability: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return w p, w and p of each row."""
    return weights * probability, weights, probability
