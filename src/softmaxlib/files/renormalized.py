"""Rounded probabilities divided by their sums, and the largest change."""

import numpy as np

from .._arrays import FloatArray
from .._spelling import argument
from ..errors import InvalidInputError

_EXACT = 1e-6  # a sum this near to 1 is rounding of float32; such a row is not changed


class Renormalized:
    """The division of rows by their sums, except those that sum to 1, and its effects.

    Attributes
    ----------
    rows : int
        Rows whose sum was not 1.
    smallest_sum, largest_sum : float
        The range of the sums.
    largest_change : float
        The most that any probability changed by.
    file : str
        The file of this change.
    row : int
        Its row, counted from 0.
    """

    def __init__(self) -> None:
        self.rows = self.row = 0
        self.smallest_sum = self.largest_sum = 1.0
        self.largest_change = 0.0
        self.file = ""

    def merge(self, other: "Renormalized") -> None:
        """Add the findings of another, on rows after these."""
        self.rows += other.rows
        self.smallest_sum = min(self.smallest_sum, other.smallest_sum)
        self.largest_sum = max(self.largest_sum, other.largest_sum)
        if other.largest_change > self.largest_change:
            self.largest_change, self.file, self.row = other.largest_change, other.file, other.row

    def apply(self, values: FloatArray, path: object, first_row: int) -> None:
        """Divide each row of `values` by its sum, in place."""
        if values.min(initial=0.0) < 0:
            row, column = np.argwhere(values < 0)[0]
            raise InvalidInputError(
                f"{path}: probabilities must not be negative, got {values[row, column]} in row "
                f"{first_row + row} (counted from 0); {argument('renormalize', True)} can't mend that"
            )
        sums = values.sum(axis=1, keepdims=True, dtype=np.float64)
        if not sums.all():
            row = first_row + int(np.argmin(sums))
            raise InvalidInputError(
                f"{path}: all probabilities are 0 in row {row} (counted from 0), and no sum can make them 1; "
                "drop the row"
            )
        rounded = abs(sums - 1) > _EXACT
        divided = np.where(rounded, values / sums, values).astype(values.dtype)
        changes = abs(divided.astype(np.float64) - values).max(axis=1, initial=0.0)
        if rounded.any() and changes.max() > self.largest_change:
            self.largest_change, self.file = float(changes.max()), str(path)
            self.row = first_row + int(changes.argmax())
        self.rows += int(np.count_nonzero(rounded))
        self.smallest_sum = min(self.smallest_sum, float(sums.min(initial=1.0)))
        self.largest_sum = max(self.largest_sum, float(sums.max(initial=1.0)))
        values[...] = divided

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows of probabilities were divided by their sums, which were "
            f"{self.smallest_sum:.6g} to {self.largest_sum:.6g}; the largest change of a probability is "
            f"{self.largest_change:.3g}, in row {self.row} (counted from 0) of {self.file}"
        )
