"""Checked values and labels of a multi-label model: a table whose cells are binary problems of their own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .. import _checks
from .._arrays import Array, FloatArray
from ..errors import InvalidInputError
from .predictions import Floats

_CELLS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Cells:
    """Some cells: their values, whether the label is there, and their weights; each of shape (cells,)."""

    values: FloatArray
    truth: npt.NDArray[np.bool_]
    weights: Floats | None


@dataclass(frozen=True)
class LabelCells:
    """Logits, or probabilities if declared so, of each label (rows, labels), and the true labels."""

    values: FloatArray
    table: _checks.LabelTable
    sample_weight: Floats | None
    are_probabilities: bool
    names: tuple[str, ...] | None

    @classmethod
    def check(
        cls,
        values: Array,
        labels: Array,
        class_names: Sequence[str] | None,
        sample_weight: Array | None,
        probabilities: bool,
    ) -> "LabelCells":
        """Reject input that breaks a rule."""
        checked = _checks.check_label_values(
            values, probabilities, "pass probabilities=True with probabilities"
        )
        names = _checks.name_labels(values, labels, class_names, checked.shape[1])
        _checks.warn_of_row_order(values, labels=labels, sample_weight=sample_weight)
        table = _checks.check_label_table(labels, checked.shape, names)
        weights = _checks.check_sample_weight(sample_weight, len(checked))
        if weights is not None and not (weights[:, None] * table.known).any():
            raise InvalidInputError("sample_weight must not be 0 in each row whose labels are known")
        return cls(checked, table, weights, probabilities, None if names is None else tuple(names))

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """True for each correct cell: a label is predicted if its probability is above 0.5."""
        return (self.values > (0.5 if self.are_probabilities else 0.0)) == self.table.truth

    @cached_property
    def weights(self) -> Floats:
        """The weight of each row, 1 where none was given."""
        return np.ones(len(self.values)) if self.sample_weight is None else self.sample_weight

    @cached_property
    def cell_weights(self) -> Floats:
        """The weight of each cell, (rows, labels): its row's, and 0 where the cell is not known."""
        return self.weights[:, None] * self.table.known

    def label(self, column: int) -> Cells:
        """Return the rows where one label is known."""
        known = self.table.known[:, column]
        weights = None if self.sample_weight is None else self.sample_weight[known]
        return Cells(self.values[known, column], self.table.truth[known, column], weights)

    def row(self, row: int) -> Cells:
        """Return the known cells of one row, which count alike."""
        known = self.table.known[row]
        return Cells(self.values[row, known], self.table.truth[row, known], None)

    def every(self) -> Cells:
        """Return all known cells, row by row."""
        known = self.table.known
        weights = None if self.sample_weight is None else self.cell_weights[known]
        return Cells(self.values[known], self.table.truth[known], weights)

    def row_blocks(self) -> Iterator[slice]:
        """Yield slices of rows that keep the temporaries of a block small."""
        size = max(1, _CELLS_AT_ONCE // self.values.shape[1])
        for start in range(0, len(self.values), size):
            yield slice(start, min(start + size, len(self.values)))

    def called(self, columns: npt.NDArray[np.int64]) -> str:
        """Return a name of some labels for messages."""
        first = columns[0]
        name = f"label {first}" if self.names is None else f"label {self.names[first]!r}"
        return name + (f" and {len(columns) - 1} more labels" if len(columns) > 1 else "")
