"""Logits from a file of any format, in batches.

Rows are counted from 0, without the header, in every message and every format.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .._arrays import FloatArray, IntArray
from .._checks import check_flag
from .._spelling import argument
from .._tables.class_columns import order_of
from .._tables.row_columns import (
    different_labels,
    encode_booleans,
    encode_compared_groups,
    encode_groups,
    encode_ids,
    encode_labels,
    encode_weights,
)
from .._tables.scores import order_of_scores, refuse_positive, rows_of_scores
from .._tables.selection import Selection
from ..errors import FileFormatError, InvalidInputError, UnsupportedTypeError
from ..policy.table_checks import check_distributions, check_finite
from .array_source import NpySource, NpzSource
from .arrow_source import ArrowFileSource, OrcSource, ParquetSource
from .csv_format import CsvFormat
from .csv_source import CsvSource
from .formats import ARROW_FORMATS, TEXT_FORMATS, ending_of
from .part import Part
from .renormalized import Renormalized

BATCH_VALUES = 2_000_000  # numbers per batch: 8 or 16 MB, for any number of classes

_TABLES = {
    **dict.fromkeys((".parquet", ".pq"), ParquetSource),
    ".orc": OrcSource,
    **dict.fromkeys(ARROW_FORMATS, ArrowFileSource),
}
_ARRAYS = {".npy": NpySource, ".npz": NpzSource}


@dataclass(frozen=True)
class Batch:
    """Some successive rows of a file.

    Attributes
    ----------
    values : array (rows, classes)
        Logits, or probabilities where the file was declared to hold them; all finite.
    labels : array (rows,) or None
        Class indices, where a label column was named.
    groups : array of text (rows,) or None
        The name of each row's group, where a column of groups was named.
    rule_rows : boolean array (rows,) or None
        Whether the row is the rule's, if a column for this was named.
    weights : array (rows,) or None
        How often each row counts, where a column of weights was named.
    ids : array of text (rows,) or None
        What each row is called, where a column of identifiers was named.
    others : pyarrow.Table
        The columns that hold no logits, as they were.
    first_row : int
        The place of the first row in the file, counted from 0.
    """

    values: FloatArray
    labels: IntArray | None
    groups: npt.NDArray[np.object_] | None
    rule_rows: npt.NDArray[np.bool_] | None
    weights: npt.NDArray[np.float64] | None
    ids: npt.NDArray[np.object_] | None
    others: pa.Table
    first_row: int


class Source(Protocol):
    """An open file of one format, as :class:`LogitTable` needs it."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the file."""
        ...

    @property
    def named(self) -> bool:
        """True if the file names the classes."""
        ...

    @property
    def is_score(self) -> bool:
        """True if each row has one number, the score of the positive class."""
        ...

    rows: int | None

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table]]:
        """Yield values (rows, classes), the selection's row columns, and all columns without logits."""
        ...

    def place(self, column: int) -> str:
        """Return how a message names the column of a class."""
        ...


@dataclass(frozen=True)
class Reading:
    """The settings for reading the files of a source, the same for all of them.

    Attributes
    ----------
    selection : Selection
        Which columns mean what.
    form : CsvFormat
        The form of text files.
    renormalize : bool
        Whether each row of probabilities is divided by its sum.
    class_names : tuple of str or None
        The classes, in the order that columns are brought into by name; None for the file's own.
    whose : str
        Whose classes these are, for messages: ``"the policy"``, or the first file.
    group_names : tuple of str or None
        The only groups that may stand in a column of groups.
    compared_groups : bool
        Whether groups are only compared: any may occur, and a row may have none.
    """

    selection: Selection
    form: CsvFormat = CsvFormat()  # noqa: RUF009  (it can't be changed)
    renormalize: bool = False
    class_names: tuple[str, ...] | None = None
    whose: str = "the policy"
    group_names: tuple[str, ...] | None = None
    compared_groups: bool = False

    def __post_init__(self) -> None:
        check_flag(self.renormalize, "renormalize")
        if not isinstance(self.form, CsvFormat):
            raise UnsupportedTypeError(
                f"{argument('csv')} must be a CsvFormat, such as CsvFormat(separator=';'), got {self.form!r}"
            )
        if self.renormalize and self.selection.kind != "probabilities":
            raise InvalidInputError(
                f"{argument('renormalize', True)} is for probabilities, and these are logits; leave it out"
            )


class LogitTable:
    """A file of logits, opened and checked, not yet read.

    Parameters
    ----------
    part : Part
        The file, or some row groups of it.
    reading : Reading
        How it is read. `renormalized` then counts what dividing rows by their sums changed.
    may_be_empty : bool, default False
        Whether a file may have no rows; it then gives one batch without any.

    Raises
    ------
    FileFormatError
        For a file that is not what its ending says, or for classes other than `reading` names.
    """

    def __init__(self, part: Part, reading: Reading, *, may_be_empty: bool = False) -> None:
        self.part = part
        self.path = part.location
        self.renormalized = Renormalized() if reading.renormalize else None
        self._may_be_empty = may_be_empty
        self.reading = reading
        self.selection = reading.selection
        self._source = open_source(part, reading.selection, reading.form, len(reading.class_names or ()))
        self.is_score = self._source.is_score
        self.class_names = reading.class_names or self._source.class_names
        self._order = self._order_of_classes()
        self.rows = self._source.rows

    def _order_of_classes(self) -> IntArray | None:
        names, whose = self.reading.class_names, self.reading.whose
        own, named = self._source.class_names, self._source.named
        if not self.is_score:
            refuse_positive(self.path, self.selection, len(own))
            return None if names is None else order_of(self.path, own, named, names, whose)
        if self.renormalized is not None:
            raise InvalidInputError(
                f"{argument('renormalize', True)} is for a probability of each class, and {self.path} has "
                "one a row; leave it out"
            )
        if names is None:
            return None
        order = order_of_scores(self.path, self.selection, names, whose)
        if len(own) == 2 and self.selection.positive is None:  # the file tells which class is the second
            return order_of(self.path, own, named, names, whose)
        return order

    def labels_found(self) -> Iterator[list[str]]:
        """Yield the different labels of each batch, as texts."""
        first_row = self.part.first_row
        where = f"{self.path}: column {self.selection.label!r}"
        for values, named, _ in self._source.batches(BATCH_VALUES):
            yield different_labels(named["label"], where, first_row)
            first_row += len(values)

    def batches(self, rows: int | None = None) -> Iterator[Batch]:
        """Yield checked batches in order, of some 4 million numbers or a given number of rows."""
        first_row = self.part.first_row
        found = False
        rows = rows or max(1, BATCH_VALUES // len(self.class_names))
        for values, named, others in self._source.batches(rows):
            if len(values) or (not found and self._may_be_empty):
                found = True
                yield self._checked(values, named, others, first_row)
            first_row += len(values)
        if not found:
            raise FileFormatError(f"{self.path} has no rows; at least one is needed")

    def _checked(self, values: FloatArray, named: dict[str, Any], others: pa.Table, first_row: int) -> Batch:
        self._check_values(values, first_row)
        if self.is_score:
            where = self._source.place(0)
            values = rows_of_scores(values[:, 0], self.selection, self.path, where, first_row)
        if self._order is not None:
            values = values[:, self._order]
        encoded = {role: self._encode(role, column, first_row) for role, column in named.items()}
        return Batch(
            values,
            encoded.get("label"),
            encoded.get("groups"),
            encoded.get("rule_rows"),
            encoded.get("weight"),
            encoded.get("id"),
            others,
            first_row,
        )

    def _encode(self, role: str, column: Any, first_row: int) -> Any:
        where = f"{self.path}: column {self.selection.row_columns[role]!r}"
        if role == "label":
            return encode_labels(column, self.class_names, where, first_row)
        if role == "groups":
            if self.reading.compared_groups:
                return encode_compared_groups(column, where, first_row)
            return encode_groups(column, self.reading.group_names, where, first_row)
        if role == "id":
            return encode_ids(column, where, first_row)
        if role == "weight":
            return encode_weights(column, where, first_row)
        return encode_booleans(column, f"{where} ({argument(role)})", first_row)

    def _check_values(self, values: FloatArray, first_row: int) -> None:
        check_finite(values, self.selection.kind, self.path, first_row, self._source.place)
        if self.selection.kind == "logits" or self.is_score:
            return
        if self.renormalized is not None:
            self.renormalized.apply(values, self.path, first_row)
        advice = (
            f"if these are logits, fit and evaluate them without {argument('probabilities', True)}; if they "
            f"are rounded probabilities, add {argument('renormalize', True)}"
        )
        check_distributions(values, self.path, first_row, advice)


def open_source(part: Part, selection: Selection, form: CsvFormat, classes: int = 0) -> Source:
    """Open a file, or some row groups of it, by its format; `classes` is their number where it is known."""
    ending, _ = ending_of(part.location.path)
    if ending in TEXT_FORMATS:
        return CsvSource(part, selection, form)
    if not form.is_usual:
        options = ", ".join(argument(name) for name in ("separator", "decimal", "thousands"))
        raise InvalidInputError(
            f"{part.location} is no text file, and {options} and {argument('encoding')} say how one is "
            "written; leave them out"
        )
    if ending in _ARRAYS:
        return _ARRAYS[ending](part, selection)
    return _TABLES[ending](part, selection, classes)
