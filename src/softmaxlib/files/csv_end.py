"""The end of a text file, marked, so that a quote which is open there is seen."""

from typing import Literal

import pyarrow as pa
import pyarrow.csv

# Lines without a cell, which a table skips. No text ends with just these.
_MARK = f"{0x9E3779B97F4A7C15:064b}".translate({ord("0"): "\r", ord("1"): "\n"})
_END = f"{_MARK}\r\n".encode()


class MarkedEnd:
    """Blank lines at the end of a text file; they are in a cell only if a quote is open there.

    Arrow takes the end of the file for the closing quote, and all rows from the opening one on for one cell.

    Attributes
    ----------
    is_in_short_row : bool
        Whether the lines were found in a row that has too few cells, which was skipped.
    """

    def __init__(self) -> None:
        self._is_written = False
        self.is_in_short_row = False

    def added_to(self, text: pa.NativeFile) -> pa.NativeFile:
        """Return the text in UTF-8 with the lines at its end."""
        return pa.TransformInputStream(text, self._or_end)

    def is_in(self, batch: pa.RecordBatch) -> bool:
        """Return True if the last cell of a batch has the lines: the quote before it is not closed."""
        cells = batch.column(batch.num_columns - 1)
        if not len(cells) or not pa.types.is_string(cells.type):
            return False
        return bool(cells[-1].as_py().endswith(_END.decode()))

    def skip_if_in(self, row: pyarrow.csv.InvalidRow) -> Literal["skip", "error"]:
        """Skip a row with another number of cells than the header if the lines are in it."""
        if not row.text.endswith(_MARK):
            return "error"
        self.is_in_short_row = True
        return "skip"

    def _or_end(self, chunk: pa.Buffer) -> pa.Buffer:
        """Return a chunk of the text, and in place of the empty one at its end the lines, once."""
        if len(chunk) or self._is_written:
            return chunk
        self._is_written = True
        return pa.py_buffer(_END)
