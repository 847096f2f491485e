"""Progress on standard error, for a person who watches; silence for a pipe."""

from collections.abc import Iterable, Iterator

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status

from .._arrays import FloatArray, IntArray
from ._tables import Batch, LogitTable


def watched(table: LogitTable, doing: str) -> Iterator[Batch]:
    """The table's batches, with a bar that moves row by row (a pulse where the rows are not counted yet)."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(doing, total=table.rows)
        for batch in table.batches():
            yield batch
            progress.advance(task, len(batch.values))


def working(doing: str) -> Status:
    """A spinner while one long step runs."""
    return Console(stderr=True).status(doing)


def read_all(table: LogitTable, doing: str) -> tuple[FloatArray, IntArray]:
    """All rows at once, in the file's own precision, with their labels."""
    if table.rows is None:
        return _joined(watched(table, doing))
    values: FloatArray | None = None
    labels = np.empty(table.rows, dtype=np.int64)
    for batch in watched(table, doing):
        if values is None:
            values = np.empty((table.rows, batch.values.shape[1]), dtype=batch.values.dtype)
        part = slice(batch.first_row, batch.first_row + len(batch.values))
        values[part] = batch.values
        labels[part] = _labels_of(batch)
    assert values is not None  # a table without rows has said so
    return values, labels


def _joined(batches: Iterable[Batch]) -> tuple[FloatArray, IntArray]:
    values, labels = [], []
    for batch in batches:
        values.append(batch.values)
        labels.append(_labels_of(batch))
    return np.concatenate(values), np.concatenate(labels)


def _labels_of(batch: Batch) -> IntArray:
    assert batch.labels is not None  # the table was opened with a label column
    return batch.labels
