"""The rows that a calibration is fitted on: held in memory, or looked at in passes."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .._all_rows import NOTHING, AllRows, Merged, RowBlock
from .degenerate import Weights, WeightScale, relative_total

Floats = npt.NDArray[np.float64]


class FitRows(ABC):
    """Sums over all rows, and some of the rows to hold.

    Attributes
    ----------
    count, classes : int
        How many rows and classes there are.
    total_weight : float
        The sum of the rows' weights.
    """

    count: int
    classes: int
    total_weight: float

    @abstractmethod
    def merged(self, of_rows: "Callable[..., Merged]", *arguments: object) -> Merged:
        """Merge the results of a function of rows, ``of_rows(held, *arguments)``, over all rows."""

    @abstractmethod
    def total(self, of_rows: "Callable[..., Floats]", *arguments: object) -> Floats:
        """Return the sum over all rows of a module's function: ``of_rows(held, *arguments)``."""

    @abstractmethod
    def every(self, step: int) -> "HeldRows":
        """Return the first of each `step` successive rows."""

    @abstractmethod
    def scaled(self, factor: float) -> Self:
        """Return the same with all logits multiplied by a factor."""


class HeldRows(FitRows):
    """Rows in memory: logits (rows, classes), labels and positive weights (rows,)."""

    def __init__(self, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> None:
        self.logits, self.labels, self.weights = logits, labels, weights
        self.count, self.classes = logits.shape
        self.total_weight = float(weights.sum())

    def merged(self, of_rows: Callable[..., Merged], *arguments: object) -> Merged:
        """Ask the function once: all rows are at hand."""
        return of_rows(self, *arguments)

    def total(self, of_rows: Callable[..., Floats], *arguments: object) -> Floats:
        """Ask the function once: all rows are at hand."""
        return of_rows(self, *arguments)

    def every(self, step: int) -> "HeldRows":
        """Return a view of some rows."""
        return self.some(slice(None, None, step))

    def some(self, rows: Any) -> "HeldRows":
        """Return the rows of an index."""
        return HeldRows(self.logits[rows], self.labels[rows], self.weights[rows])

    def times(self, factor: float) -> "HeldRows":
        """Return the same with all weights multiplied by a factor."""
        return HeldRows(self.logits, self.labels, self.weights * factor)

    def scaled(self, factor: float) -> Self:
        """Return the same with all logits multiplied by a factor."""
        return type(self)(self.logits * factor, self.labels, self.weights)


class _Prepared(NamedTuple):
    """The conversion of a block of rows to rows of a fit."""

    weights: WeightScale
    factor: float

    def held(self, block: RowBlock) -> HeldRows:
        weights = np.ones(len(block.labels)) if block.weights is None else self.weights.apply(block.weights)
        logits = block.values if self.factor == 1.0 else block.values * self.factor
        if not weights.all():
            counts = weights > 0
            return HeldRows(logits[counts], block.labels[counts], weights[counts])
        return HeldRows(logits, block.labels, weights)


class SummedRows(FitRows):
    """Rows too many to hold: each sum is a pass over all of them."""

    def __init__(self, rows: AllRows) -> None:
        self._rows = rows
        self._read: dict[int, RowBlock] = {}  # by steps
        self.classes = rows.classes
        scale = WeightScale(0.0, 0)
        if rows.is_weighted:
            largest = float(rows.merged(_largest_weight).largest[0])
            scale = WeightScale.of(largest, float(rows.merged(_relative_total, largest).added[0]))
        self._prepared = _Prepared(scale, 1.0)
        count, self.total_weight = self.total(_size).tolist()
        self.count = int(count)

    def merged(self, of_rows: Callable[..., Merged], *arguments: object) -> Merged:
        """Merge the results of the function on each block."""
        return self._rows.merged(_merged, self._prepared, of_rows, *arguments)

    def total(self, of_rows: Callable[..., Floats], *arguments: object) -> Floats:
        """Add the results of the function on each block."""
        return self._rows.merged(_added, self._prepared, of_rows, *arguments).added

    def every(self, step: int) -> HeldRows:
        """Read all rows once for each step, and hold some."""
        if step not in self._read:
            self._read[step] = self._rows.every(step)
        return self._prepared.held(self._read[step])

    def scaled(self, factor: float) -> Self:
        """Return the same with all logits multiplied by a factor."""
        scaled = copy.copy(self)
        scaled._prepared = self._prepared._replace(factor=factor)
        return scaled


def _largest_weight(block: RowBlock) -> Merged:
    return Merged(NOTHING, np.array([0.0 if block.weights is None else block.weights.max()]))


def _relative_total(block: RowBlock, largest: float) -> Merged:
    return Merged(np.array([0.0 if block.weights is None else relative_total(block.weights, largest)]))


def _size(rows: HeldRows) -> Floats:
    return np.array([rows.count, rows.total_weight])


def _merged(
    block: RowBlock, prepared: _Prepared, of_rows: Callable[..., Merged], *arguments: object
) -> Merged:
    return of_rows(prepared.held(block), *arguments)


def _added(
    block: RowBlock, prepared: _Prepared, of_rows: Callable[..., Floats], *arguments: object
) -> Merged:
    return Merged(of_rows(prepared.held(block), *arguments), NOTHING)
