"""Rows of frames and columns that belong together, by their indexes in pandas."""

from typing import Any

from .._warn import warn_user


def warn_of_row_order(table: Any, **columns: Any) -> None:
    """Warn if a column of pandas has the index of the table in another order: rows are taken by position."""
    index = _index_of(table)
    if index is None or not index.is_unique:
        return
    for name, column in columns.items():
        own = _index_of(column)
        if own is None or own.equals(index) or len(own) != len(index):
            continue
        # Objects: indexes of two types, missing entries and overlapping intervals are compared too.
        places = index.astype(object).get_indexer(own.astype(object))
        moved = places != range(len(index))
        if own.is_unique and (places >= 0).all() and moved.any():
            row = int(moved.argmax())
            (found,), (wanted,) = own[row : row + 1], index[row : row + 1]
            warn_user(
                f"{name} must be in the order of the rows, which are taken by position; the index is that of "
                f"the rows in another order, from position {row} on: {found!r}, not {wanted!r}; pass "
                f"{name}.loc[rows.index], or {name}.to_numpy() if the positions are right"
            )


def _index_of(values: Any) -> Any:
    """Return the index of a frame or column of pandas, else None."""
    is_of_pandas = type(values).__module__.partition(".")[0] == "pandas"
    return getattr(values, "index", None) if is_of_pandas else None
