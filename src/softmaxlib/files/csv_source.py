"""CSV files and other files with separated cells, read in batches."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from .._spelling import argument
from .._tables.selection import Selection
from .._text import quoted
from ..errors import FileFormatError, InvalidInputError
from .arrow_source import ArrowSource
from .csv_format import CsvFormat
from .part import Part


class CsvSource(ArrowSource):
    """A CSV file with a header. Logits and weights become numbers; every other column stays text."""

    def __init__(self, part: Part, selection: Selection, form: CsvFormat) -> None:
        self._form = form
        super().__init__(part, selection)

    def _schema(self) -> pa.Schema:
        try:
            self._names = self._form.header(self._path)
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise self._unreadable(error) from None
        self._check_separator()
        return pa.schema([(name, pa.string()) for name in self._names])

    def _check_separator(self) -> None:
        """Reject a header of one cell that looks like several."""
        name = self._names[0]
        mark = next((mark for mark in "\t;|," if mark in name), None)
        if len(self._names) == 1 and mark is not None and name not in self._selection.patterns:
            named = "tab" if mark == "\t" else mark
            raise FileFormatError(
                f"{self._path}: its header is one cell, {quoted([name])}; name what is between cells, such "
                f"as {argument('separator', named)}"
            )

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        texts = dict.fromkeys(self._names, pa.string())
        types = texts if self._form.thousands else texts | dict.fromkeys(self._numbers(), pa.float64())
        batch = pa.RecordBatch.from_pydict({name: pa.array([], kind) for name, kind in types.items()})
        try:
            for batch in self._form.batches(self._path, types):
                yield self._numbered(batch)
            if not batch.num_rows:
                yield self._numbered(batch)
        except pa.ArrowException:
            self._blame_cell()
            raise

    def _numbers(self) -> list[str]:
        """Return the names of the columns that hold numbers."""
        weight = self._selection.weight
        return self._columns.columns if weight is None else [*self._columns.columns, weight]

    def _numbered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Convert the columns of numbers that had to be read as text."""
        if not self._form.thousands:
            return batch
        numbers = self._numbers()
        columns = {
            name: self._form.numbers(batch.column(name)) if name in numbers else batch.column(name)
            for name in batch.schema.names
        }
        return pa.RecordBatch.from_pydict(columns)

    def _blame_cell(self) -> None:
        """Read again as text, and raise an error that names the first cell that is not a number."""
        first_row = 0
        for batch in self._form.batches(self._path, dict.fromkeys(self._names, pa.string())):
            cell = self._first_no_number(batch, self._numbers())
            if cell is not None:
                row, name, text = cell
                meaning = "weights" if name == self._selection.weight else self._selection.kind
                raise InvalidInputError(
                    f"{self._path}: {meaning} must be numbers, got {text!r} in row {first_row + row} "
                    f"(counted from 0), column {name!r}; correct the cell, or say how numbers are written "
                    f"with {argument('decimal')} and {argument('thousands')}"
                )
            first_row += batch.num_rows

    def _first_no_number(self, batch: pa.RecordBatch, names: Sequence[str]) -> tuple[int, str, str] | None:
        worst = None
        for name in names:
            column = batch.column(name)
            for row in range(batch.num_rows if worst is None else worst[0]):
                try:
                    self._form.numbers(column.slice(row, 1))
                except pa.ArrowException:
                    worst = (row, name, column[row].as_py())
                    break
        return worst

    def _unreadable(self, error: Exception) -> FileFormatError:
        return self._form.unreadable(self._path, error)
