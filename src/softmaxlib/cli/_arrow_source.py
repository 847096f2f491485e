"""CSV and Parquet, streamed in batches by pyarrow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from .._arrays import FloatArray
from ..errors import FileFormatError, InvalidInputError
from ._selection import ROW_COLUMNS, Selection, listed, missing, option

_CSV_BLOCK = 8 << 20


class _ArrowSource:
    named = True
    rows: int | None = None

    def __init__(self, path: Path, selection: Selection) -> None:
        self._path = path
        self._selection = selection
        names = self._column_names()
        repeated = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
        if repeated:
            raise FileFormatError(f"{path}: column names must differ, {repeated[0]!r} stands more than once")
        self._chosen = selection.match(path, names)
        self.class_names = tuple(self._chosen.values())
        if len(set(self.class_names)) < len(self.class_names):
            raise FileFormatError(f"{path}: class names must differ, got {listed(self.class_names)}")
        for role, name in selection.row_columns.items():
            if name not in names:
                advice = f"name the column of {ROW_COLUMNS[role]} with {option(role)}"
                raise missing(path, "column", name, names, advice)
        self._others = [name for name in names if name not in self._chosen]

    def place(self, column: int) -> str:
        return f"column {list(self._chosen)[column]!r}"

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table]]:
        try:
            for batch in self._record_batches(rows):
                named = {role: batch.column(name) for role, name in self._selection.row_columns.items()}
                yield self._matrix(batch), named, pa.Table.from_batches([batch]).select(self._others)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None

    def _matrix(self, batch: pa.RecordBatch) -> FloatArray:
        types = [batch.schema.field(name).type for name in self._chosen]
        narrow = all(pa.types.is_float32(kind) or pa.types.is_float16(kind) for kind in types)
        matrix = np.empty((batch.num_rows, len(types)), dtype=np.float32 if narrow else np.float64)
        for index, (name, kind) in enumerate(zip(self._chosen, types, strict=True)):
            column = batch.column(name)
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                column = self._cast(column, name, kind)
            matrix[:, index] = column.to_numpy(zero_copy_only=False)
        return matrix

    def _cast(self, column: pa.Array, name: str, kind: pa.DataType) -> pa.Array:
        if pa.types.is_decimal(kind) or pa.types.is_null(kind):
            return column.cast(pa.float64())
        raise InvalidInputError(
            f"{self._path}: column {name!r} must hold numbers ({self._selection.kind}), got {kind}; "
            "choose the columns with --columns"
        )

    def _column_names(self) -> list[str]:
        raise NotImplementedError

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def _unreadable(self, error: Exception) -> FileFormatError:
        advice = "write the file anew"
        if "UTF8" in str(error):
            advice = f"save it as UTF-8, such as by: iconv -f latin1 -t utf-8 {self._path.name}"
        return FileFormatError(f"{self._path} cannot be read: {error}; {advice}")


class ParquetSource(_ArrowSource):
    """A Parquet file; only the batch at hand is in memory."""

    def _column_names(self) -> list[str]:
        try:
            self._file = pyarrow.parquet.ParquetFile(self._path)
        except (pa.ArrowException, OSError) as error:
            raise FileFormatError(f"{self._path} is no Parquet file: {error}") from None
        self.rows = self._file.metadata.num_rows
        return self._file.schema_arrow.names

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        return self._file.iter_batches(batch_size=rows)


class CsvSource(_ArrowSource):
    """A CSV file with a header. Logits become numbers; every other column stays the text it is."""

    def _column_names(self) -> list[str]:
        self._parse = pyarrow.csv.ParseOptions(delimiter="\t" if self._path.suffix == ".tsv" else ",")
        try:
            with self._open(None) as reader:
                return reader.schema.names
        except pa.ArrowException as error:
            raise self._unreadable(error) from None

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        types = dict.fromkeys(self._chosen, pa.float64()) | dict.fromkeys(self._others, pa.string())
        try:
            with self._open(types) as reader:
                yield from reader
        except pa.ArrowException:
            self._blame_cell()
            raise

    def _open(self, types: dict[str, pa.DataType] | None) -> pyarrow.csv.CSVStreamingReader:
        return pyarrow.csv.open_csv(
            self._path,
            read_options=pyarrow.csv.ReadOptions(block_size=_CSV_BLOCK),
            parse_options=self._parse,
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )

    def _blame_cell(self) -> None:
        """Read once more, as text, and name the first cell that is no number."""
        first_row = 0
        with self._open(dict.fromkeys([*self._chosen, *self._others], pa.string())) as reader:
            for batch in reader:
                cell = _first_no_number(batch, list(self._chosen))
                if cell is not None:
                    row, name, text = cell
                    raise InvalidInputError(
                        f"{self._path}: {self._selection.kind} must be numbers, got {text!r} in row "
                        f"{first_row + row} (counted from 0), column {name!r}"
                    )
                first_row += batch.num_rows


def _first_no_number(batch: pa.RecordBatch, names: Sequence[str]) -> tuple[int, str, str] | None:
    worst = None
    for name in names:
        for row, text in enumerate(batch.column(name).to_pylist()):
            if worst is not None and row >= worst[0]:
                break
            if text is not None and not _is_number(text):
                worst = (row, name, text)
    return worst


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # float("1_000") is Python's grammar, not the file's
