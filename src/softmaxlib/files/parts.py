"""Cutting large Parquet files into parts at their row groups, always at the same places."""

from collections.abc import Iterable, Iterator

from .arrow_source import open_parquet
from .formats import ending_of
from .part import Part

PART_VALUES = 16_000_000  # numbers per part of a file that is cut


def cut_at_row_groups(parts: Iterable[Part]) -> Iterator[Part]:
    """Cut large Parquet files into parts of some 16 million numbers; leave other files whole.

    The cuts do not depend on the executor, so that one process and many give the same bytes.
    """
    for part in parts:
        if ending_of(part.location.path)[0] in (".parquet", ".pq"):
            yield from _cut(part)
        else:
            yield part


def total_rows(parts: Iterable[Part]) -> int | None:
    """Return the number of rows; None if a file does not tell it without being read."""
    counts = [part.rows for part in parts]
    known = [rows for rows in counts if rows is not None]
    return sum(known) if len(known) == len(counts) else None


def _cut(part: Part) -> Iterator[Part]:
    with open_parquet(part) as file:
        metadata = file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        most = max(1, PART_VALUES // max(1, metadata.num_columns))
    start = first_row = rows = 0
    for group, size in enumerate(sizes):
        if rows and rows + size > most:
            yield part._replace(row_groups=(start, group), first_row=first_row, rows=rows)
            start, first_row, rows = group, first_row + rows, 0
        rows += size
    if start:
        yield part._replace(row_groups=(start, len(sizes)), first_row=first_row, rows=rows)
    else:
        yield part._replace(rows=rows)
