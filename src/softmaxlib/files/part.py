"""What one task reads: a file of a source, or some row groups of it."""

from typing import NamedTuple

from .location import Location

Value = str | int | None


class Part(NamedTuple):
    """A file of a source, or some row groups of it: what one task reads.

    Attributes
    ----------
    location : Location
        Where the file is.
    name : str
        Its path below the source's folder, with forward slashes.
    keys : tuple of (str, str, int or None)
        Columns that the names of the folders give: ``year=2026`` is a column ``year``.
    row_groups : tuple of int or None
        The first, and the one behind the last, of a large Parquet file; None for the whole file.
    first_row : int
        The place of the first row in the file, counted from 0.
    rows : int or None
        How many rows there are, where the file says so without being read.
    """

    location: Location
    name: str
    keys: tuple[tuple[str, Value], ...] = ()
    row_groups: tuple[int, int] | None = None
    first_row: int = 0
    rows: int | None = None
