"""Decisions as a table, and the files it can be written to."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from .._arrays import FloatArray
from ..errors import FileFormatError

Write = Callable[[pa.Table], None]


def decision_table(
    decision: Any,
    probabilities: FloatArray,
    class_names: Sequence[str],
    action_names: Sequence[str],
    others: pa.Table,
) -> pa.Table:
    """One row a decision: label, probability, decision, abstained, what else the rule has, and `others`.

    A column of `others` whose name is taken is carried as ``input_<name>``.
    """
    names = pa.array(list(class_names), pa.string())
    likely = probabilities.argmax(axis=1)
    columns: dict[str, Any] = {
        "label": names.take(pa.array(likely)),
        "probability": pa.array(probabilities[np.arange(len(likely)), likely]),
        "decision": pa.array(list(action_names), pa.string()).take(
            pa.array(decision.action, mask=np.asarray(decision.abstained))
        ),
        "abstained": pa.array(decision.abstained),
    }
    if getattr(decision, "expected_cost", None) is not None:
        columns["expected_cost"] = pa.array(decision.expected_cost)
    if getattr(decision, "sets", None) is not None:
        columns["set"] = _sets(decision.sets, names)
    for name in others.column_names:
        free = name
        while free in columns:
            free = f"input_{free}"
        columns[free] = others.column(name)
    return pa.table(columns)


def _sets(sets: Any, names: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(sets.sum(axis=1))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), names.take(pa.array(np.nonzero(sets)[1])))


@contextmanager
def open_writer(path: Path, file: IO[bytes]) -> Iterator[Write]:
    """A function that appends a table to `file`, in the format that the ending of `path` names."""
    writers = {".parquet": _parquet, ".pq": _parquet, ".csv": _csv, ".npz": _npz}
    if path.suffix.lower() not in writers:
        raise FileFormatError(
            f"decisions can be written to {', '.join(writers)}, and not to {path.suffix!r} ({path}); "
            "choose one of them"
        )
    with writers[path.suffix.lower()](file) as write:
        yield write


@contextmanager
def _parquet(file: IO[bytes]) -> Iterator[Write]:
    writer: list[pyarrow.parquet.ParquetWriter] = []

    def write(table: pa.Table) -> None:
        if not writer:
            writer.append(pyarrow.parquet.ParquetWriter(file, table.schema))
        writer[0].write_table(table)

    yield write
    writer[0].close()


@contextmanager
def _csv(file: IO[bytes]) -> Iterator[Write]:
    first = True

    def write(table: pa.Table) -> None:
        nonlocal first
        options = pyarrow.csv.WriteOptions(include_header=first)
        pyarrow.csv.write_csv(_flat(table), file, options)
        first = False

    yield write


@contextmanager
def _npz(file: IO[bytes]) -> Iterator[Write]:
    tables: list[pa.Table] = []
    yield tables.append
    whole = pa.concat_tables(tables)
    arrays = {name: _plain(whole.column(name)) for name in _flat(whole).column_names}
    np.savez_compressed(file, allow_pickle=False, **arrays)


def _flat(table: pa.Table) -> pa.Table:
    """Lists as JSON text, since a cell of CSV holds one."""
    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [json.dumps(value, ensure_ascii=False) for value in table.column(index).to_pylist()]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    return table


def _plain(column: pa.ChunkedArray) -> np.ndarray:
    """A column without objects, so that no pickle is needed: text as unicode, an absent text as empty."""
    values = _flat(pa.table({"column": column})).column(0)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return np.array(values.fill_null("").to_pylist(), dtype=np.str_)
    return values.to_numpy()
