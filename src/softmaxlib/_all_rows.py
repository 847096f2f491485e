"""Labelled rows that do not fit into memory: fits and tests use sums over all of them."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ._arrays import FloatArray, IntArray

Floats = npt.NDArray[np.float64]

NOTHING: Floats = np.zeros(0)


class RowBlock(NamedTuple):
    """Some successive rows.

    Attributes
    ----------
    values : array (rows, classes)
        Logits or probabilities, checked.
    labels : array of int (rows,)
        The true class of each row.
    weights : array (rows,) or None
        How often each row counts, above 0; None where every row counts once.
    groups : array of text (rows,) or None
        The group of each row, where there are groups.
    """

    values: FloatArray
    labels: IntArray
    weights: Floats | None = None
    groups: npt.NDArray[np.object_] | None = None


class Merged(NamedTuple):
    """Results of some rows: numbers that are added over all rows, and numbers whose maximum is taken."""

    added: Floats
    largest: Floats = NOTHING

    def merge(self, other: "Merged") -> "Merged":
        """Merge both results."""
        return Merged(self.added + other.added, np.maximum(self.largest, other.largest))


class AllRows(Protocol):
    """Rows that can be read repeatedly, block by block, but not kept in memory."""

    @property
    def classes(self) -> int:
        """The number of classes of the rows."""
        ...

    @property
    def is_weighted(self) -> bool:
        """True if the rows have weights."""
        ...

    @property
    def group_names(self) -> tuple[str, ...]:
        """The groups that occur, in order. Empty if the rows have no groups."""
        ...

    def merged(self, of_block: Callable[..., Merged], *arguments: object) -> Merged:
        """Merge the results of a function of each block of rows: ``of_block(block, *arguments)``.

        The blocks, and the order in which they are merged, depend on the rows alone.
        """
        ...

    def every(self, step: int) -> RowBlock:
        """Return the first of each `step` successive rows."""
        ...
