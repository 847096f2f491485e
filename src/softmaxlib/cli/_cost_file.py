"""The file of costs: one row per true class, one column per decision."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from .._arrays import FloatArray
from .._text import quoted
from ..decisions import CostTable
from ..errors import FileFormatError
from ..files.csv_format import CsvFormat
from ..files.location import Location

_EXAMPLE = "write one row per true class and one column per decision: truth,cat,dog / cat,0,1 / dog,5,0"


def read_cost(path: Path, class_names: Sequence[str], form: CsvFormat) -> CostTable:
    """Read the costs of a text file, a row per true class and a column per decision, and the decisions.

    The first column names the true class of each row. The header names the decisions: either the classes, in
    any order, or other actions, whose order is kept. The returned names are None for classes.
    """
    if not path.is_file():
        raise FileFormatError(f"{path} does not exist; --cost names a CSV file with one row per true class")
    try:
        names = form.header(Location(path))
        cells = pa.schema([(name, pa.string()) for name in names])
        rows = form.batches(Location(path), dict.fromkeys(names, pa.string()))
        table = pa.Table.from_batches(rows, cells)
        truths, actions = table.column(0).to_pylist(), names[1:]
    except (pa.ArrowException, OSError, UnicodeError) as error:
        raise FileFormatError(f"{form.unreadable(Location(path), error)}; {_EXAMPLE}") from None
    if sorted(truths) != sorted(class_names):
        raise FileFormatError(
            f"{path}: its first column must name each class once, {quoted(class_names)}; got "
            f"{quoted(truths)}; {_EXAMPLE}"
        )
    if not actions or len(set(actions)) < len(actions):
        raise FileFormatError(
            f"{path}: its header must name each decision once, got {quoted(actions)}; {_EXAMPLE}"
        )
    own = sorted(actions) != sorted(class_names)
    if set(actions) & set(class_names) and not set(actions) >= set(class_names):
        raise FileFormatError(
            f"{path}: its header must name each class once, {quoted(class_names)}, or actions that are no "
            f"classes; got {quoted(actions)}; {_EXAMPLE}"
        )
    decided = tuple(actions if own else class_names)
    places = {truth: place for place, truth in enumerate(truths)}
    order = [places[truth] for truth in class_names]
    columns = {action: table.column(place) for place, action in enumerate(names) if place}
    cost = [_costs(columns[action], path, truths, action, form)[order] for action in decided]
    return CostTable(np.stack(cost, axis=1), decided if own else None)


def _costs(
    column: pa.ChunkedArray, path: Path, truths: Sequence[str], action: str, form: CsvFormat
) -> FloatArray:
    cells = column.combine_chunks()
    costs = _as_numbers(cells, form)
    wrong = np.flatnonzero(~np.isfinite(costs))
    if wrong.size:
        place = int(wrong[0])
        raise FileFormatError(
            f"{path}: a cost must be a finite number, got {cells[place].as_py()!r} for truth "
            f"{truths[place]!r}, decision {action!r}; fill the cell in, with a large number for what must "
            "never happen"
        )
    return costs


def _as_numbers(cells: pa.Array, form: CsvFormat) -> FloatArray:
    """Convert the cells to float64, NaN where one is not a number."""
    try:
        return form.numbers(cells).to_numpy(zero_copy_only=False)
    except pa.ArrowException:
        if len(cells) == 1:
            return np.array([np.nan])
        return np.concatenate([_as_numbers(cells.slice(place, 1), form) for place in range(len(cells))])
