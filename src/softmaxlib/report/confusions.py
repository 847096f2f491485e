"""The non-empty cells of the matrices of true classes against predicted ones, and against decisions."""

from typing import NamedTuple, Self

import numpy as np

from .._arrays import IntArray
from ..policy.figures import Weights
from .counts import Counts


class Confusions(NamedTuple):
    """The non-empty cells of a confusion matrix, in its order: at most as many as there are rows.

    Attributes
    ----------
    truth, predicted : array of int (cells,)
        The true class and the most likely one.
    rows : array of int (cells,)
        How many rows, or their weight.
    """

    truth: IntArray
    predicted: IntArray
    rows: Counts

    @classmethod
    def of(cls, truth: IntArray, predicted: IntArray, weights: Weights | None, classes: int) -> Self:
        """Count the rows of each pair of classes, or sum their weights."""
        cells, rows = _counted(truth * classes + predicted, classes**2, weights)
        return cls(cells // classes, cells % classes, rows)

    def sums(self, classes: int) -> tuple[Counts, ...]:
        """Sum the rows of each true class, of each predicted class, and where both agree; each (classes,)."""
        of_truth, of_name, right = (np.zeros(classes, dtype=self.rows.dtype) for _ in range(3))
        np.add.at(of_truth, self.truth, self.rows)
        np.add.at(of_name, self.predicted, self.rows)
        agree = self.truth == self.predicted
        right[self.truth[agree]] = self.rows[agree]
        return of_truth, of_name, right

    def matrix(self, classes: int) -> Counts:
        """Return the whole matrix (classes, classes)."""
        whole = np.zeros((classes, classes), dtype=self.rows.dtype)
        whole[self.truth, self.predicted] = self.rows
        return whole


class DecisionsByClass(NamedTuple):
    """Counts of the decisions for the rows of each class, in the cells that have rows.

    Attributes
    ----------
    truth, action : array of int (cells,)
        The true class, and the action of the policy; -1 where rows were set aside.
    rows : array of int (cells,)
        How many rows, or their weight.
    """

    truth: IntArray
    action: IntArray
    rows: Counts

    @classmethod
    def of(
        cls, truth: IntArray, action: IntArray, weights: Weights | None, classes: int, actions: int
    ) -> Self:
        """Count the rows of each class and decision, or sum their weights."""
        cells, rows = _counted(pairs_of(truth, action, actions), classes * (actions + 1), weights)
        return cls.of_cells(cells, rows, actions)

    @classmethod
    def of_cells(cls, cells: IntArray, rows: Counts, actions: int) -> Self:
        """Return those of the cells of `pairs_of`."""
        return cls(cells // (actions + 1), cells % (actions + 1) - 1, rows)

    def matrix(self, classes: int, actions: int) -> Counts:
        """Return the whole matrix: a column per action, and a last one of rows set aside if there are any."""
        whole = np.zeros((classes, actions + 1), dtype=self.rows.dtype)
        whole[self.truth, self.action] = self.rows  # -1 is the last column
        return whole if (self.action < 0).any() else whole[:, :actions]

    def equals(self, confusions: Confusions) -> bool:
        """Return True if every row got its most likely class, or as many rows of each class did."""
        pairs = zip(self, confusions, strict=True)
        return all(np.array_equal(one, other) for one, other in pairs)


def pairs_of(truth: IntArray, action: IntArray, actions: int) -> IntArray:
    """Number the pairs of a true class and an action, of which -1 comes first."""
    return truth * (actions + 1) + action + 1


def _counted(pairs: IntArray, most: int, weights: Weights | None) -> tuple[IntArray, Counts]:
    """Return the pairs that occur, in rising order, and how often, or the sum of their weights."""
    if most <= len(pairs):
        sums = np.bincount(pairs, weights)
        cells = np.flatnonzero(sums)
        return cells, sums[cells]
    if weights is None:
        return np.unique(pairs, return_counts=True)
    cells, place = np.unique(pairs[weights > 0], return_inverse=True)
    return cells, np.bincount(place, weights[weights > 0])
