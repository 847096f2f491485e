"""Columns of every Arrow type as texts or as NumPy arrays without objects; others are refused by name."""

import datetime
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa

from .._tables.compute import compute
from .._tables.plain import plain
from ..errors import FileFormatError

_LAST_SECOND = 30_000 * 365 * 86400  # from 1970: what text can say of dates ends some centuries later
_LARGEST_EXACT = 2**53  # the largest range of whole numbers that float64 holds exactly


def as_text(column: pa.ChunkedArray, place: str) -> pa.ChunkedArray:
    """Convert a column to exact texts: times as ISO 8601, bytes as hexadecimal, lists as JSON; null stays.

    Raises
    ------
    FileFormatError
        For a type without a text form; `place` names the column and the file.
    """
    column = plain(column)
    kind = column.type
    if pa.types.is_nested(kind) or _is_binary(kind) or isinstance(kind, pa.BaseExtensionType):
        spelled = [_spelled(value, place) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(spelled, pa.string())])
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        _check_years(column, place)
    try:
        text = column.cast(pa.string())
    except (pa.ArrowException, UnicodeError):
        raise _refusal(place, kind) from None
    return compute.binary_join_element_wise(text, kind.unit, " ") if pa.types.is_duration(kind) else text


def as_numpy_array(column: pa.ChunkedArray, place: str) -> np.ndarray:
    """Convert a column to an array that is stored without a pickle.

    Numbers, times and booleans keep their kind; a missing number is NaN, a missing time NaT, a missing text
    empty. Everything else becomes text, see `as_text`.

    Raises
    ------
    FileFormatError
        For whole numbers beside missing ones that float64 does not hold; for text that an array would cut;
        for a type without a text form.
    """
    column = plain(column)
    kind = column.type
    if column.null_count and pa.types.is_integer(kind):
        bounds = compute.min_max(column).as_py()
        if any(abs(bound or 0) > _LARGEST_EXACT for bound in bounds.values()):
            raise FileFormatError(
                f"{place} has absent numbers, for which .npz has only NaN, beside whole numbers above 2^53, "
                "which that would change; fill the absent ones in, or write .parquet or .csv"
            )
        return column.cast(pa.float64(), safe=False).to_numpy()
    if column.null_count and pa.types.is_boolean(kind):
        return column.cast(pa.uint8()).cast(pa.float64()).to_numpy()
    if not isinstance(kind, pa.BaseExtensionType) and not pa.types.is_time(kind):
        values = column.to_numpy()
        if values.dtype.kind in "biufmM":
            return values
    texts = as_text(column, place).fill_null("").to_pylist()
    if any(text.endswith("\0") for text in texts):
        raise FileFormatError(
            f"{place} has a text that ends with NUL, which .npz would cut; write .parquet or .csv"
        )
    return np.array(texts, dtype=np.str_)


def _is_binary(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _spelled(value: Any, place: str) -> str | None:
    """Convert a value other than a plain number to text."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple | dict):
        return json.dumps(_jsonable(value, place), ensure_ascii=False, allow_nan=False)
    return str(value)


def _jsonable(value: Any, place: str) -> Any:
    """Convert a value inside a list or a struct to a JSON value; NaN and infinity become null."""
    if isinstance(value, dict):
        return {str(name): _jsonable(part, place) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(part, place) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):  # a datetime is a date
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else _spelled(value, place)


def _check_years(column: pa.ChunkedArray, place: str) -> None:
    """Refuse times beyond the years that Arrow can write as text."""
    kind = column.type
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    if pa.types.is_timestamp(kind):
        limit = _LAST_SECOND * per_second[kind.unit]
    else:
        limit = _LAST_SECOND // 86400 if kind == pa.date32() else _LAST_SECOND * 1000
    bounds = compute.min_max(column.cast(pa.int32() if kind == pa.date32() else pa.int64())).as_py()
    if any(abs(bound or 0) > limit for bound in bounds.values()):
        raise _refusal(place, kind, " with times more than 30,000 years from 1970")


def _refusal(place: str, kind: pa.DataType, more: str = "") -> FileFormatError:
    return FileFormatError(
        f"{place} is of the type {kind}{more}, which only .arrow holds; write .arrow, or leave the column out"
    )
