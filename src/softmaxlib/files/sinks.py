"""Writers of tables, batch by batch: Parquet, CSV and .npz."""

import gzip
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import PurePath
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from .._spelling import argument
from .._tables.compute import compute
from .._tables.plain import plain
from ..errors import FileFormatError, InvalidInputError
from .exact_columns import as_numpy_array, as_text
from .formats import ending_of
from .location import Location

Write = Callable[[pa.Table], None]

# Texts that spreadsheets take for formulas, also in full-width characters; not a signed number, nor a dash.
_FORMULA = r"^[=+\-@\t\r＝＋－＠]"
_HARMLESS = r"^([+\-]?(\d[\d.,' ]*|[.,]\d+)([eE][+\-]?\d+)?\s?%?|[+\-]?(?i:nan|inf|infinity)|[+\-]+)$"

_NUMBERS = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)


@contextmanager
def open_writer(target: Location, ending: str, file: IO[bytes]) -> Iterator[Write]:
    """Yield a function that appends a table to `file` in the format of an ending; messages name `target`."""
    packed = gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) if ending == ".csv.gz" else None
    kind = ".csv" if packed else ending
    with packed or nullcontext(file) as inner, _FORMATS[kind](target, inner) as write:
        yield write


def output_ending(path: PurePath) -> str | None:
    """Return the ending of a file that decisions can be written to; None if it has another format."""
    ending, compression = ending_of(path)
    if ending not in _FORMATS or compression not in (None, "gzip"):
        return None
    return {"gzip": f"{ending}.gz"}.get(compression or "", ending)


def check_format(path: Location, format: str | None = None) -> str:
    """Return the ending of a file to be written.

    Raises
    ------
    FileFormatError
        If its format can't be written.
    InvalidInputError
        If it is not the `format` that was asked for.
    """
    ending = output_ending(path.path)
    if ending is None or ending == ".tsv.gz":
        raise FileFormatError(
            f"decisions can be written to {', '.join(_FORMATS)} or .csv.gz, and not to {path.path.suffix!r} "
            f"({path}); choose one of them, or end the name in / for a folder"
        )
    refuse_other_format(path, ending, format)
    return ending


def refuse_other_format(path: Location, ending: str, format: str | None) -> None:
    """Refuse a format other than that of a file to be written, whose ending or place determines it."""
    if format is not None and _FORMATS.get(ending_of_format(format)) != _FORMATS.get(ending):
        raise InvalidInputError(
            f"{argument('format')} is for the files in a folder, got {format!r}, and {path} is written as "
            f"{ending[1:]}; leave it out, or name another file"
        )


def ending_of_format(format: str) -> str:
    """Return the ending of parts in a format that is named with or without the point."""
    ending = f".{str(format).lstrip('.')}"
    if ending not in (*_FORMATS, ".csv.gz"):
        known = ", ".join(one[1:] for one in (*_FORMATS, ".csv.gz"))
        raise InvalidInputError(f"{argument('format')} must be one of {known}, got {format!r}")
    return ending


@contextmanager
def _parquet(path: Location, file: IO[bytes]) -> Iterator[Write]:
    writer: list[pyarrow.parquet.ParquetWriter] = []

    def write(table: pa.Table) -> None:
        for place, name in enumerate(table.column_names):
            if pa.types.is_run_end_encoded(table.column(place).type):
                table = table.set_column(place, name, plain(table.column(place)))
        try:
            _check_seconds(table)
            if not writer:
                repeated = [path for field in table.schema for path in _repeated(field, field.name)]
                options: dict[str, Any] = {"use_dictionary": repeated}
                writer.append(pyarrow.parquet.ParquetWriter(file, table.schema, **options))
            writer[0].write_table(table)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise FileFormatError(
                f"{path}: {_unwritable(table)}Parquet can't hold: {error}; write .arrow, or leave it out"
            ) from None

    try:
        yield write
    except BaseException:
        with suppress(Exception):  # the file is discarded, with the data that the writer still holds
            writer[0].close()
        raise
    writer[0].close()


def _check_seconds(table: pa.Table) -> None:
    """Reject times that Parquet can't hold in milliseconds: pyarrow before 21 writes other times for them."""
    for column in table.columns:
        if pa.types.is_timestamp(column.type) and column.type.unit == "s":
            column.cast(pa.timestamp("ms", column.type.tz))


def _repeated(field: pa.Field, path: str) -> Iterator[str]:
    """The columns of a file whose values are likely to occur often: all but floating-point numbers.

    A dictionary of values that hardly ever repeat takes half the time of writing, and more room than none.
    """
    kind = field.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _repeated(kind.value_field, f"{path}.list.element")
    elif pa.types.is_map(kind):
        yield from _repeated(kind.key_field, f"{path}.key_value.key")
        yield from _repeated(kind.item_field, f"{path}.key_value.value")
    elif pa.types.is_struct(kind):
        for inner in kind:
            yield from _repeated(inner, f"{path}.{inner.name}")
    elif not pa.types.is_floating(kind):
        yield path


@contextmanager
def _csv(path: Location, file: IO[Any], delimiter: str = ",") -> Iterator[Write]:
    first = True

    def write(table: pa.Table) -> None:
        nonlocal first
        options = pyarrow.csv.WriteOptions(include_header=first, delimiter=delimiter)
        pyarrow.csv.write_csv(_flat(table, path), file, options)
        first = False

    yield write


@contextmanager
def _tsv(path: Location, file: IO[Any]) -> Iterator[Write]:
    with _csv(path, file, "\t") as write:
        yield write


@contextmanager
def _arrow(path: Location, file: IO[Any]) -> Iterator[Write]:
    with _ipc(path, file, pyarrow.ipc.new_file, _without_categories) as write:
        yield write


@contextmanager
def _arrow_stream(path: Location, file: IO[Any]) -> Iterator[Write]:
    with _ipc(path, file, pyarrow.ipc.new_stream) as write:
        yield write


@contextmanager
def _ipc(
    path: Location,
    file: IO[Any],
    opened: Callable[..., Any],
    change: Callable[[pa.Table], pa.Table] | None = None,
) -> Iterator[Write]:
    del path
    writer: list[Any] = []

    def write(table: pa.Table) -> None:
        table = table if change is None else change(table)
        if not writer:
            writer.append(opened(file, table.schema))
        writer[0].write_table(table)

    yield write
    writer[0].close()


@contextmanager
def _npz(path: Location, file: IO[bytes]) -> Iterator[Write]:
    tables: list[pa.Table] = []
    yield tables.append
    whole = pa.concat_tables(tables)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in whole.column_names:
            place = f"{path}: column {name!r}"
            if "\0" in name:
                raise FileFormatError(f"{place} has NUL in its name, which .npz would cut; rename it")
            array = as_numpy_array(whole.column(name), place)
            member = zipfile.ZipInfo(f"{name}.npy")  # without the time: the same input gives the same bytes
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


_FORMATS = {
    ".parquet": _parquet,
    ".pq": _parquet,
    ".csv": _csv,
    ".tsv": _tsv,
    ".arrow": _arrow,
    ".arrows": _arrow_stream,
    ".npz": _npz,
}


def _unwritable(table: pa.Table) -> str:
    """Return the name of the column that Parquet can't hold, for a message; empty if each can be written."""
    for name in table.column_names:
        try:
            _check_seconds(table.select([name]))
            pyarrow.parquet.write_table(table.select([name]), pa.BufferOutputStream())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return f"column {name!r} has what "
    return ""


def _without_categories(table: pa.Table) -> pa.Table:
    """Replace categories by their values: unlike a stream, an Arrow file can't change them."""
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, names=table.column_names)


def _flat(table: pa.Table, path: Location) -> pa.Table:
    """Convert each column to a type that cells can hold, and no cell to a formula for spreadsheets."""
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if not any(is_kind(field.type) for is_kind in _NUMBERS):
            column = _without_formulas(as_text(column, f"{path}: column {field.name!r}"))
        columns.append(column)
    names = _without_formulas(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    return pa.Table.from_arrays(columns, names=_distinct(names))


def _without_formulas(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put an apostrophe before each text that a spreadsheet would run; numbers stay as they are."""
    runs = compute.match_substring_regex(text, _FORMULA)
    if not compute.any(runs).as_py():
        return text
    runs = compute.and_(runs, compute.invert(compute.match_substring_regex(text, _HARMLESS)))
    return compute.if_else(runs, compute.binary_join_element_wise("'", text, ""), text)


def _distinct(names: list[str]) -> list[str]:
    """Make names distinct: one that is already there (``'=a`` beside ``=a``) gets another apostrophe."""
    taken: dict[str, None] = {}  # in order
    for name in names:
        while name in taken:
            name = f"'{name}"
        taken[name] = None
    return list(taken)
