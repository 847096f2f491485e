"""Cells of a probability, equal in width on the scale of log-odds."""

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from .predictions import Floats


class LogOddsGrid(NamedTuple):
    """So many cells for each step of log-odds, from -most to most; those beyond are in the outermost cells.

    Rows of one cell are pooled for a test, which makes their variance too large by at most 1 / (48 steps^2)
    of itself.
    """

    steps: int
    most: int

    @property
    def lowest(self) -> int:
        """The place of log-odds 0."""
        return self.steps * self.most

    @property
    def cells(self) -> int:
        """Number of cells."""
        return 2 * self.lowest + 1

    def holding(self, finer: "LogOddsGrid", cell: IntArray) -> IntArray:
        """Return the cell that holds each cell of another grid, whose steps are a multiple of these."""
        edge = (cell - finer.lowest) // (finer.steps // self.steps)
        return np.clip(edge, -self.lowest, self.lowest) + self.lowest


FINE = LogOddsGrid(32, 40)


def cells_of_log_odds(probability: Floats) -> IntArray:
    """Return the cell of `FINE` of each probability, that of `class_sums`, the same on every machine."""
    edges = _edges()
    rest = 1 - probability
    low = np.searchsorted(np.append(edges[1:], 0.5), probability, side="right")
    high = FINE.cells - 1 - np.searchsorted(edges, rest, side="left")
    return np.where(probability <= rest, low, high)


@lru_cache
def _edges() -> Floats:
    """Return the probabilities below 1/2 on the edges between cells, each rounded once."""
    with localcontext() as context:
        context.prec = 40
        steps = range(FINE.lowest, 0, -1)
        return np.array([float(1 / (1 + (Decimal(step) / FINE.steps).exp())) for step in steps])
