"""Files that pyarrow reads in batches of columns, and Parquet, the first of them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from .._arrays import FloatArray
from .._tables.selection import ROW_COLUMNS, Selection, missing, option
from .._text import quoted
from ..errors import FileFormatError, InvalidInputError


class ArrowSource:
    """A file of named columns, its batches at hand one by one."""

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
            raise FileFormatError(f"{path}: class names must differ, got {quoted(self.class_names)}")
        for role, name in selection.row_columns.items():
            if name not in names:
                advice = f"name the column of {ROW_COLUMNS[role]} with {option(role)}"
                raise missing(path, "column", name, names, advice)
        self._others = [name for name in names if name not in self._chosen]

    def place(self, column: int) -> str:
        """Return how a message names the column of a class."""
        return f"column {list(self._chosen)[column]!r}"

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table]]:
        """Values, row columns and other columns, batch by batch; one empty batch of a file without rows."""
        try:
            for batch in self._record_batches(rows):
                named = {role: batch.column(name) for role, name in self._selection.row_columns.items()}
                yield self._matrix(batch), named, pa.Table.from_batches([batch]).select(self._others)
        except (pa.ArrowException, OSError, UnicodeError) as error:
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
        return FileFormatError(f"{self._path} cannot be read: {error}; write the file anew")


class ParquetSource(ArrowSource):
    """A Parquet file; only the batch at hand is in memory."""

    def _column_names(self) -> list[str]:
        try:
            self._file = pyarrow.parquet.ParquetFile(pa.OSFile(os.fsencode(self._path), "rb"))
            names = self._file.schema_arrow.names
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise FileFormatError(f"{self._path} is no Parquet file: {error}") from None
        self.rows = self._file.metadata.num_rows
        return names

    def _record_batches(self, rows: int) -> Iterator[pa.RecordBatch]:
        if self.rows:
            return self._file.iter_batches(batch_size=rows)
        schema = self._file.schema_arrow
        empty = [pa.array([], kind) for kind in schema.types]
        return iter([pa.RecordBatch.from_arrays(empty, schema=schema)])
