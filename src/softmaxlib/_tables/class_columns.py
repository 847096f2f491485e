"""The numbers of a table's rows: a column a class, or one column of lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .._arrays import FloatArray, IntArray
from .._spelling import argument
from .._text import quoted
from ..errors import FileFormatError, InvalidInputError
from .compute import compute
from .plain import plain
from .selection import ROW_COLUMNS, Selection, missing

_LISTS = (
    *(pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list),
    *(pa.types.is_list_view, pa.types.is_large_list_view),
)


class ClassColumns:
    """The columns with the logits (or probabilities) of a table.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the table.
    selection : Selection
        Which columns mean what.
    place : object
        What messages call the table.

    Attributes
    ----------
    class_names : tuple of str
        What the columns call the classes, or ``"0"``, ``"1"``, ... where one column of lists holds them all.
        One name where there is a score a row.
    named : bool
        Whether the columns name the classes.
    others : list of str
        The columns that hold no logits.
    """

    def __init__(self, schema: pa.Schema, selection: Selection, place: object) -> None:
        self._place = place
        self._selection = selection
        names = schema.names
        repeated = [name for name in names if names.count(name) > 1] if len(set(names)) < len(names) else []
        if repeated:
            raise FileFormatError(
                f"{place}: column names must differ, {repeated[0]!r} stands more than once; rename one of "
                "them"
            )
        lists = {field.name for field in schema if holds_lists(field.type)}
        usual = schema.field(selection.kind).type if selection.kind in names else None
        chosen = selection.match(place, names, lists, usual)
        self.columns = list(chosen)
        self.named = not (len(chosen) == 1 and self.columns[0] in lists)
        self.class_names = tuple(chosen.values()) if self.named else ()
        if not self.named:
            kind = schema.field(self.columns[0]).type
            self.count_classes(kind.list_size if pa.types.is_fixed_size_list(kind) else 0)
        if len(set(self.class_names)) < len(self.class_names):
            raise FileFormatError(
                f"{place}: class names must differ, got {quoted(self.class_names)}; rename the columns, or "
                f"choose others with {argument('columns')}"
            )
        for role, name in selection.row_columns.items():
            if name not in names:
                advice = f"name the column of {ROW_COLUMNS[role]} with {argument(role)}"
                raise missing(place, "column", name, names, advice)
        self.others = [name for name in names if name not in chosen]

    @property
    def is_score(self) -> bool:
        """True if each row has one number, the score of the positive class."""
        return len(self.class_names) == 1

    def count_classes(self, classes: int) -> None:
        """Set the number of entries of each list, where the schema does not tell it."""
        self.class_names = tuple(str(index) for index in range(classes))

    def name_of(self, column: int) -> str:
        """Return how a message names the column of a class."""
        return (
            f"column {self.columns[column]!r}"
            if self.named
            else f"number {column} (counted from 0) of the list in column {self.columns[0]!r}"
        )

    def length_of_first_list(self, batch: pa.RecordBatch) -> int:
        """Return how many numbers the first list in a column of lists has that is not empty, else 0."""
        lengths = compute.list_value_length(_storage(batch.column(self.columns[0]))).drop_null().to_pylist()
        return next(filter(None, lengths), 0)

    def matrix(self, batch: pa.RecordBatch, first_row: int) -> FloatArray:
        """Return the numbers (rows, classes) of a batch whose first row has this place in the table."""
        if not self.named:
            return self._from_lists(batch.column(self.columns[0]), first_row)
        columns = [self._numbers(batch.column(name), name) for name in self.columns]
        absent = [_first_absent(column) for column in columns]
        if min(absent) < batch.num_rows:
            index = int(np.argmin(absent))
            raise self._no_number(first_row + absent[index], index)
        narrow = all(_is_narrow(column.type) for column in columns)
        matrix = _from_arrows_pool((batch.num_rows, len(columns)), np.float32 if narrow else np.float64)
        for index, column in enumerate(columns):
            matrix[:, index] = column.to_numpy(zero_copy_only=False)
        return matrix

    def order_of(self, class_names: Sequence[str], whose: str) -> IntArray | None:
        """Return the place of each class among the columns; None if they have the same order.

        `whose` says in a message where the names are from: ``"the policy"``.
        """
        return order_of(self._place, self.class_names, self.named, class_names, whose)

    def _from_lists(self, column: Any, first_row: int) -> FloatArray:
        name, classes = self.columns[0], len(self.class_names)
        column = _storage(column)
        lengths = compute.fill_null(compute.list_value_length(column), -1).to_numpy(zero_copy_only=False)
        wrong = np.flatnonzero(lengths != classes)
        if wrong.size:
            row = int(wrong[0])
            found = "no list" if lengths[row] < 0 else f"{lengths[row]} numbers"
            raise InvalidInputError(
                f"{self._place}: column {name!r} must hold {classes} numbers in each row, got {found} in row "
                f"{first_row + row} (counted from 0); correct or drop the row"
            )
        numbers = self._numbers(column.flatten(), name)
        absent = _first_absent(numbers)
        if absent < len(numbers):
            raise self._no_number(first_row + absent // classes, absent % classes)
        dtype = np.float32 if _is_narrow(numbers.type) else np.float64
        return numbers.to_numpy(zero_copy_only=False).astype(dtype).reshape(len(column), classes)

    def _numbers(self, column: Any, name: str) -> pa.Array:
        column = plain(column)
        kind = column.type
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            return column
        if pa.types.is_decimal(kind) or pa.types.is_null(kind):
            return column.cast(pa.float64())
        what = "numbers" if self.named else "a list of numbers in each row"
        got = kind if self.named else f"lists of {kind}"
        raise InvalidInputError(
            f"{self._place}: column {name!r} must hold {what} ({self._selection.kind}), got {got}; "
            f"choose the columns with {argument('columns')}"
        )

    def _no_number(self, row: int, column: int) -> InvalidInputError:
        return InvalidInputError(
            f"{self._place}: {self._selection.kind} must be numbers, and there is none in row {row} (counted "
            f"from 0), {self.name_of(column)}: the cell is empty or absent (NA, null); fill it in, or drop "
            "the row"
        )


def _from_arrows_pool(shape: tuple[int, int], dtype: npt.DTypeLike) -> FloatArray:
    """Return an array without values in memory of Arrow's.

    Arrow keeps what a batch took for the next one. The C library often gives it back, always in a worker of
    Dask's, and each page is then cleared anew.
    """
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, buffer=pa.allocate_buffer(size))


def order_of(
    place: object, found: Sequence[str], named: bool, class_names: Sequence[str], whose: str
) -> IntArray | None:
    """Return the place of each class among those found in a table; None if they have the same order."""
    advice = f"use the policy that was fitted for this model, or {argument('columns')}"
    if whose != "the policy":
        advice = f"read such tables apart, or choose the columns with {argument('columns')}"
    if len(found) != len(class_names):
        raise FileFormatError(
            f"{place} has {len(found)} classes ({quoted(found)}) and {whose} has {len(class_names)} "
            f"({quoted(class_names)}); {advice}"
        )
    if not named or tuple(found) == tuple(class_names):
        return None
    places = {name: index for index, name in enumerate(found)}
    absent = [name for name in class_names if name not in places]
    if absent:
        raise FileFormatError(
            f"{place} has no column for {whose}'s class {quoted(absent)}; its classes are {quoted(found)}; "
            f"{advice}"
        )
    return np.array([places[name] for name in class_names], dtype=np.int64)


def holds_lists(kind: pa.DataType) -> bool:
    """Return True for a column type whose values are lists of any kind."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return any(is_kind(kind) for is_kind in _LISTS)


def _first_absent(numbers: pa.Array) -> int:
    """Return the place of the first null, or the length if there is none."""
    if not numbers.null_count:
        return len(numbers)
    return int(np.argmax(numbers.is_null().to_numpy(zero_copy_only=False)))


def _is_narrow(kind: pa.DataType) -> bool:
    return pa.types.is_float32(kind) or pa.types.is_float16(kind)


def _storage(column: Any) -> Any:
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column
