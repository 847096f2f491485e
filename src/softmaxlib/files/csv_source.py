"""CSV files, and others that separate cells, streamed in batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from .._tables.selection import Selection
from ..errors import FileFormatError, InvalidInputError
from .arrow_source import ArrowSource
from .csv_format import CsvFormat


class CsvSource(ArrowSource):
    """A CSV file with a header. Logits become numbers; every other column stays the text it is."""

    def __init__(self, path: Path, selection: Selection, form: CsvFormat) -> None:
        self._form = form
        super().__init__(path, selection)

    def _column_names(self) -> list[str]:
        try:
            with self._form.open(self._path, None) as reader:
                return reader.schema.names
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise self._unreadable(error) from None

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        texts = dict.fromkeys([*self._chosen, *self._others], pa.string())
        types = texts if self._form.thousands else texts | dict.fromkeys(self._chosen, pa.float64())
        batch = pa.RecordBatch.from_pydict({name: pa.array([], kind) for name, kind in types.items()})
        try:
            with self._form.open(self._path, types) as reader:
                for batch in reader:
                    yield self._numbered(batch)
                if not batch.num_rows:
                    yield self._numbered(batch)
        except pa.ArrowException:
            self._blame_cell()
            raise

    def _numbered(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its logits as numbers, where they had to be read as text."""
        if not self._form.thousands:
            return batch
        columns = {
            name: self._form.numbers(batch.column(name)) if name in self._chosen else batch.column(name)
            for name in batch.schema.names
        }
        return pa.RecordBatch.from_pydict(columns)

    def _blame_cell(self) -> None:
        """Read once more, as text, and name the first cell that is no number."""
        first_row = 0
        with self._form.open(
            self._path, dict.fromkeys([*self._chosen, *self._others], pa.string())
        ) as reader:
            for batch in reader:
                cell = self._first_no_number(batch, list(self._chosen))
                if cell is not None:
                    row, name, text = cell
                    raise InvalidInputError(
                        f"{self._path}: {self._selection.kind} must be numbers, got {text!r} in row "
                        f"{first_row + row} (counted from 0), column {name!r}; correct the cell, or say how "
                        "numbers are written with --decimal and --thousands"
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
