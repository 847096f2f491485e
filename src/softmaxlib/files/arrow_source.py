"""Files that pyarrow reads in batches of columns: Parquet, ORC and Arrow's own."""

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet

from .._arrays import FloatArray
from .._tables.class_columns import ClassColumns
from .._tables.selection import Selection
from ..errors import FileFormatError
from .part import Part

_AGAIN = "write the file anew, or leave it out"
_FIRST_ROWS = 64  # read at a time to find a list


class ArrowSource:
    """A file of named columns, read batch by batch.

    Parameters
    ----------
    part, selection
        The file, and what its columns mean.
    classes : int
        The number of classes, for a column of lists none of which tells it: a file without rows.
    """

    rows: int | None = None

    def __init__(self, part: Part, selection: Selection, classes: int = 0) -> None:
        self._part = part
        self._path = part.location
        self._selection = selection
        schema = self._schema()
        for key, value in part.keys:
            if key in schema.names:
                raise FileFormatError(
                    f"{self._path}: its folder says what {key!r} is, and the file has a column of that name "
                    "too; rename one of them"
                )
            schema = schema.append(pa.field(key, _kind_of_key(value)))
        self._columns = ClassColumns(schema, selection, self._path)
        if not self._columns.class_names:
            self._columns.count_classes(self._length_of_first_list() or classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the file."""
        return self._columns.class_names

    @property
    def named(self) -> bool:
        """True if the file names the classes."""
        return self._columns.named

    @property
    def is_score(self) -> bool:
        """True if each row has one number."""
        return self._columns.is_score

    def place(self, column: int) -> str:
        """Return how a message names the column of a class."""
        return self._columns.name_of(column)

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table]]:
        """Yield values, row columns and other columns by batch; one empty batch for a file without rows."""
        first_row = self._part.first_row
        try:
            for bare in self._record_batches(rows):
                batch = self._with_keys(bare)
                named = {role: batch.column(name) for role, name in self._selection.row_columns.items()}
                others = pa.Table.from_batches([batch]).select(self._columns.others)
                yield self._columns.matrix(batch, first_row), named, others
                first_row += batch.num_rows
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise self._unreadable(error) from None

    def _with_keys(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self._part.keys:
            return batch
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for key, value in self._part.keys:
            columns[key] = pa.repeat(pa.scalar(value, _kind_of_key(value)), batch.num_rows)
        return pa.RecordBatch.from_pydict(columns)

    def _length_of_first_list(self) -> int:
        lengths = map(self._columns.length_of_first_list, self._record_batches(_FIRST_ROWS))
        return next(filter(None, lengths), 0)

    def _schema(self) -> pa.Schema:
        raise NotImplementedError

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def _unreadable(self, error: Exception) -> FileFormatError:
        return FileFormatError(f"{self._path} cannot be read: {error}; {_AGAIN}")


class ParquetSource(ArrowSource):
    """A Parquet file, or some of its row groups; only the current batch is in memory."""

    def _schema(self) -> pa.Schema:
        self._file = open_parquet(self._part)
        metadata = self._file.metadata
        start, stop = self._part.row_groups or (0, metadata.num_row_groups)
        self._row_groups = list(range(start, stop))
        self.rows = sum(metadata.row_group(group).num_rows for group in self._row_groups)
        return self._file.schema_arrow

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        if self.rows:
            return self._file.iter_batches(batch_size=rows, row_groups=self._row_groups)
        return iter([empty_batch(self._file.schema_arrow)])


class OrcSource(ArrowSource):
    """An ORC file; one stripe at a time is in memory."""

    def _schema(self) -> pa.Schema:
        try:
            self._file = pyarrow.orc.ORCFile(self._path.open())
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise FileFormatError(f"{self._path} is no ORC file: {error}; {_AGAIN}") from None
        self.rows = self._file.nrows
        return self._file.schema

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        for stripe in range(self._file.nstripes):
            batch = self._file.read_stripe(stripe)
            for start in range(0, batch.num_rows, rows):
                yield batch.slice(start, rows)
        if not self.rows:
            yield empty_batch(self._file.schema)


class ArrowFileSource(ArrowSource):
    """A file in Arrow's own format, or a stream of it; its first bytes tell which."""

    def _schema(self) -> pa.Schema:
        try:
            with self._opened() as reader:
                return reader.schema
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise FileFormatError(f"{self._path} is no Arrow file: {error}; {_AGAIN}") from None

    def _opened(self) -> Any:
        file = self._path.open()
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        if not is_file:
            return pyarrow.ipc.open_stream(file)
        if not self._path.is_url:
            file = pa.memory_map(os.fsdecode(self._path.given))
        return pyarrow.ipc.open_file(file)

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        with self._opened() as reader:
            found = False
            for batch in _batches_of(reader):
                for start in range(0, batch.num_rows, rows):
                    found = True
                    yield batch.slice(start, rows)
            if not found:
                yield empty_batch(reader.schema)


def open_parquet(part: Part) -> pyarrow.parquet.ParquetFile:
    """Open a Parquet file and read its footer.

    Raises
    ------
    FileFormatError
        For a file that is not in this format.
    """
    try:
        return pyarrow.parquet.ParquetFile(part.location.open())
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise FileFormatError(f"{part.location} is no Parquet file: {error}; {_AGAIN}") from None


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch without rows."""
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)


def _batches_of(reader: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pyarrow.ipc.RecordBatchFileReader):
        return (reader.get_batch(index) for index in range(reader.num_record_batches))
    return iter(reader)


def _kind_of_key(value: object) -> pa.DataType:
    return pa.int64() if isinstance(value, int) else pa.string()
