"""The part of a source that one task reads: a file, or some of its row groups."""

from typing import NamedTuple

from ..report.provenance import Origin
from .location import Location

Value = str | int | None


class Part(NamedTuple):
    """A file of a source, or some of its row groups; a task reads one part.

    Attributes
    ----------
    location : Location
        Where the file is.
    name : str
        Its path below the source's folder, with forward slashes.
    keys : tuple of (str, str, int or None)
        The columns from the names of folders: ``year=2026`` is a column ``year``.
    row_groups : tuple of int or None
        The first row group, and the one after the last, of a large Parquet file; None for the whole file.
    first_row : int
        The place of the first row in the file, counted from 0.
    rows : int or None
        The number of rows, if the file tells it without being read.
    """

    location: Location
    name: str
    keys: tuple[tuple[str, Value], ...] = ()
    row_groups: tuple[int, int] | None = None
    first_row: int = 0
    rows: int | None = None


def origin_of(part: Part) -> Origin:
    """Return a file with its hash; a remote file is only named, not read a second time."""
    if part.location.is_url:
        return Origin(str(part.location))
    with part.location.open() as stream:
        return Origin.of_stream(str(part.location), stream)
