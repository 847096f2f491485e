"""Columns in Arrow's encodings, as plain ones."""

from typing import TypeVar

import pyarrow as pa

from .compute import compute

Column = TypeVar("Column", pa.Array, pa.ChunkedArray)


def plain(column: Column) -> Column:
    """Replace categories and runs by their values, and views of texts by texts, for which more is defined."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_run_end_encoded(kind):
        return plain(compute.run_end_decode(column))
    return column.cast(pa.string()) if pa.types.is_string_view(kind) else column
