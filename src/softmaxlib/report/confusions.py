"""The non-empty cells of a confusion matrix."""

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
        pairs = truth * classes + predicted
        if classes**2 <= len(truth):
            sums = np.bincount(pairs, weights)
            cells = np.flatnonzero(sums)
            rows = sums[cells]
        elif weights is None:
            cells, rows = np.unique(pairs, return_counts=True)
        else:
            cells, place = np.unique(pairs[weights > 0], return_inverse=True)
            rows = np.bincount(place, weights[weights > 0])
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
