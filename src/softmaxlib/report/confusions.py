"""Which classes were taken for which: the cells of a confusion matrix that have rows."""

from typing import NamedTuple, Self

import numpy as np

from .._arrays import IntArray


class Confusions(NamedTuple):
    """The cells of a confusion matrix that have rows, in its order: never more than there are rows.

    Attributes
    ----------
    truth, predicted : array of int (cells,)
        The true class and the most likely one.
    rows : array of int (cells,)
        How many rows.
    """

    truth: IntArray
    predicted: IntArray
    rows: IntArray

    @classmethod
    def of(cls, truth: IntArray, predicted: IntArray, classes: int) -> Self:
        """Count the rows of each pair of classes."""
        cells, rows = np.unique(truth * classes + predicted, return_counts=True)
        return cls(cells // classes, cells % classes, rows)

    def sums(self, classes: int) -> tuple[IntArray, IntArray, IntArray]:
        """Rows of each true class, rows called by each name, and rows where both agree; each (classes,)."""
        of_truth, of_name, right = (np.zeros(classes, dtype=np.int64) for _ in range(3))
        np.add.at(of_truth, self.truth, self.rows)
        np.add.at(of_name, self.predicted, self.rows)
        agree = self.truth == self.predicted
        right[self.truth[agree]] = self.rows[agree]
        return of_truth, of_name, right

    def matrix(self, classes: int) -> IntArray:
        """The whole matrix (classes, classes)."""
        whole = np.zeros((classes, classes), dtype=np.int64)
        whole[self.truth, self.predicted] = self.rows
        return whole
