"""Rows in blocks, class by class: numbers that are added over the classes are then contiguous."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_LENGTH = 256  # rows of a block: long enough for vector instructions, short enough for the cache
_MULTIPLE = 8


class Layout(NamedTuple):
    """The number of blocks and the rows per block. The last block is padded with rows of zeros."""

    rows: int
    blocks: int
    length: int

    @classmethod
    def of(cls, rows: int) -> "Layout":
        """Return blocks of equal length, at most 256."""
        blocks = max(1, -(-rows // _LENGTH))
        length = -(-rows // (blocks * _MULTIPLE)) * _MULTIPLE
        return cls(rows, blocks, length)

    def columns(self, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return shape (blocks, numbers, length), of a matrix (rows, numbers)."""
        padded = np.zeros((self.blocks * self.length, matrix.shape[1]), matrix.dtype)
        padded[: self.rows] = matrix
        split = padded.reshape(self.blocks, self.length, matrix.shape[1])
        return np.ascontiguousarray(split.transpose(0, 2, 1))

    def vector(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return shape (blocks, length), of one number a row."""
        padded = np.zeros(self.blocks * self.length, values.dtype)
        padded[: self.rows] = values
        return padded.reshape(self.blocks, self.length)

    def undone(self, columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the matrix (rows, numbers) that `columns` was made of, as a view."""
        split = columns.transpose(0, 2, 1)
        return split.reshape(self.blocks * self.length, columns.shape[1])[: self.rows]
