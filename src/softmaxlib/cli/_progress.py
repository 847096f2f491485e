"""Progress on standard error, for a person who watches; silence for a pipe."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status

from .._arrays import FloatArray, IntArray
from ..errors import SoftmaxlibWarning
from ..files.logit_table import Batch, LogitTable


class Rows(NamedTuple):
    """All rows of a file: see `Batch`."""

    values: FloatArray
    labels: IntArray
    groups: npt.NDArray[np.object_] | None
    rule_rows: npt.NDArray[np.bool_] | None


def watched(table: LogitTable, doing: str, quiet: bool = False) -> Iterator[Batch]:
    """The table's batches, with a bar that moves row by row (a pulse where the rows are not counted yet)."""
    console = Console(stderr=True)
    console.quiet = not console.is_terminal  # before 14.3, Rich ended a hidden bar with an empty line
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task(doing, total=table.rows)
        for batch in table.batches():
            yield batch
            progress.advance(task, len(batch.values))
    if table.renormalized is not None:
        warnings.warn(f"{table.path}: {table.renormalized}", SoftmaxlibWarning, stacklevel=2)


def working(doing: str, quiet: bool = False) -> Status:
    """A spinner while one long step runs."""
    return Console(stderr=True, quiet=quiet).status(doing)


def read_all(table: LogitTable, doing: str, quiet: bool = False) -> Rows:
    """All rows at once, in the file's own precision, with what else was named of each."""
    whole: FloatArray | None = None
    parts, named = [], []
    for batch in watched(table, doing, quiet):
        named.append((batch.labels, batch.groups, batch.rule_rows))
        if table.rows is None:
            parts.append(batch.values)
            continue
        if whole is None:  # to join the parts in the end would hold all rows twice
            whole = np.empty((table.rows, batch.values.shape[1]), dtype=batch.values.dtype)
        whole[batch.first_row : batch.first_row + len(batch.values)] = batch.values
    labels, groups, rule_rows = (_joined(column) for column in zip(*named, strict=True))
    assert labels is not None  # the table was opened with a label column
    return Rows(np.concatenate(parts) if whole is None else whole, labels, groups, rule_rows)


def _joined(parts: Sequence[Any]) -> Any:
    """One column of all rows; None where it was not named."""
    return None if parts[0] is None else np.concatenate(parts)
