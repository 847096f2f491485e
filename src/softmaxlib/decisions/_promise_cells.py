"""Rows that are alike to the promises of a rule, summed."""

from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from .decision import Floats


class PromiseCells(NamedTuple):
    """Sums over the rows of each cell that has some.

    Attributes
    ----------
    cell : array of int (cells,)
        The numbers of the cells, rising.
    weight, square : array (cells,)
        Of the weights of the rows, and of their squares.
    rows : array (cells,)
        Rows whose weight is not 0.
    """

    cell: IntArray
    weight: Floats
    square: Floats
    rows: Floats

    @classmethod
    def of(cls, cells: IntArray, weights: Floats | None) -> "PromiseCells":
        """Sum rows by the cell of each; those in a negative one, or of weight 0, do not count."""
        some = cells >= 0 if weights is None else (cells >= 0) & (weights > 0)
        found, place, counts = np.unique(cells[some], return_inverse=True, return_counts=True)
        rows = counts.astype(np.float64)
        if weights is None:
            return cls(found, rows, rows, rows)
        of_rows = weights[some]
        weight, square = (np.bincount(place, one, found.size) for one in (of_rows, of_rows**2))
        return cls(found, weight.astype(np.float64), square.astype(np.float64), rows)
