"""Logits from a file, in batches: CSV, Parquet, .npy and .npz behind one face.

Rows are counted from 0, the header not counted, in every message and every format.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .._arrays import FloatArray, IntArray
from .._checks import find_improbable
from .._tables.row_columns import encode_booleans, encode_groups, encode_labels
from .._tables.selection import Selection, option
from .._text import quoted
from ..errors import FileFormatError, InvalidInputError
from .array_source import NpySource, NpzSource
from .arrow_source import ParquetSource
from .csv_format import CsvFormat
from .csv_source import CsvSource
from .formats import COMPRESSIONS, TEXT_FORMATS, check_is_file, ending_of
from .renormalized import Renormalized

if TYPE_CHECKING:
    from ..policy import Policy

BATCH_VALUES = 4_000_000  # numbers a batch: 16 or 32 MB, whatever the number of classes


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
        Whether the row is the rule's, where a column was named that says so.
    others : pyarrow.Table
        The columns that hold no logits, as they were.
    first_row : int
        The place of the first row in the file, counted from 0.
    """

    values: FloatArray
    labels: IntArray | None
    groups: npt.NDArray[np.object_] | None
    rule_rows: npt.NDArray[np.bool_] | None
    others: pa.Table
    first_row: int


class Source(Protocol):
    """A file of one format, opened: what :class:`LogitTable` needs of it."""

    class_names: tuple[str, ...]
    named: bool
    rows: int | None

    def batches(self, rows: int) -> Iterator[tuple[FloatArray, dict[str, Any], pa.Table]]:
        """Values (rows, classes), the selection's row columns, and all without logits, batch by batch."""
        ...

    def place(self, column: int) -> str:
        """Return how a message names the column of a class."""
        ...


class LogitTable:
    """A file of logits, opened and checked, not yet read.

    Parameters
    ----------
    path : path
        A .csv, .tsv (compressed too: .csv.gz), .parquet, .npy or .npz file.
    selection : Selection
        Which columns mean what.
    policy : Policy, optional
        The file's columns are put into the order of its classes by name, and its groups are the only ones
        that may stand in a column of groups.
    form : CsvFormat, optional
        How a text file is written.
    renormalize : bool, default False
        Whether each row of probabilities is divided by its sum; `renormalized` then counts what that changed.
    may_be_empty : bool, default False
        Whether a file may have no rows; it then gives one batch without any.

    Raises
    ------
    FileFormatError
        For a missing file, an unknown format, or classes other than the policy's.
    """

    def __init__(
        self,
        path: str | Path,
        selection: Selection,
        policy: "Policy | None" = None,
        *,
        form: CsvFormat | None = None,
        renormalize: bool = False,
        may_be_empty: bool = False,
    ) -> None:
        if renormalize and selection.kind != "probabilities":
            raise InvalidInputError("--renormalize is for probabilities, and these are logits; leave it out")
        self.path = Path(path)
        self.renormalized = Renormalized() if renormalize else None
        self._may_be_empty = may_be_empty
        self.selection = selection
        class_names = None if policy is None else policy.class_names_
        self.group_names = None if policy is None else policy.rule.known_groups
        self._source = _open(self.path, selection, form or CsvFormat())
        self._order = None if class_names is None else self._order_of(class_names)
        self.class_names = class_names or self._source.class_names
        self.rows = self._source.rows

    def batches(self) -> Iterator[Batch]:
        """The rows in order, some 4 million numbers at a time, each batch checked."""
        first_row = 0
        for values, named, others in self._source.batches(max(1, BATCH_VALUES // len(self.class_names))):
            if len(values) or (first_row == 0 and self._may_be_empty):
                yield self._checked(values, named, others, first_row)
            first_row += len(values)
        if first_row == 0 and not self._may_be_empty:
            raise FileFormatError(f"{self.path} has no rows; at least one is needed")

    def _checked(self, values: FloatArray, named: dict[str, Any], others: pa.Table, first_row: int) -> Batch:
        self._check_values(values, first_row)
        if self._order is not None:
            values = values[:, self._order]
        encoded = {role: self._encode(role, column, first_row) for role, column in named.items()}
        return Batch(
            values,
            encoded.get("label"),
            encoded.get("groups"),
            encoded.get("rule_rows"),
            others,
            first_row,
        )

    def _encode(self, role: str, column: Any, first_row: int) -> Any:
        where = f"{self.path}: column {self.selection.row_columns[role]!r}"
        if role == "label":
            return encode_labels(column, self.class_names, where, first_row)
        if role == "groups":
            return encode_groups(column, self.group_names, where, first_row)
        return encode_booleans(column, f"{where} ({option(role)})", first_row)

    def _check_values(self, values: FloatArray, first_row: int) -> None:
        finite = np.isfinite(values)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise InvalidInputError(
                f"{self.path}: {self.selection.kind} must be finite, got {values[row, column]} in row "
                f"{first_row + row} (counted from 0), {self._source.place(int(column))}; "
                "drop the row or repair the model that produced it"
            )
        if self.selection.kind == "logits":
            return
        if self.renormalized is not None:
            self.renormalized.apply(values, self.path, first_row)
        fault = find_improbable(values, "probabilities")
        if fault is not None:
            row, rule = fault
            raise InvalidInputError(
                f"{self.path}: {rule} in row {first_row + row} (counted from 0); if these are logits, "
                "fit and evaluate them without --probabilities; if they are rounded probabilities, add "
                "--renormalize"
            )

    def _order_of(self, class_names: Sequence[str]) -> IntArray | None:
        ours = self._source.class_names
        if len(ours) != len(class_names):
            raise FileFormatError(
                f"{self.path} has {len(ours)} classes ({quoted(ours)}) and the policy has {len(class_names)} "
                f"({quoted(class_names)}); use the policy that was fitted for this model, or --columns"
            )
        if not self._source.named or tuple(ours) == tuple(class_names):
            return None
        places = {name: place for place, name in enumerate(ours)}
        missing = [name for name in class_names if name not in places]
        if missing:
            raise FileFormatError(
                f"{self.path} has no column for the policy's class {quoted(missing)}; its classes are "
                f"{quoted(ours)}; use the policy that was fitted for this model, or --columns"
            )
        return np.array([places[name] for name in class_names], dtype=np.int64)


def _open(path: Path, selection: Selection, form: CsvFormat) -> Source:
    check_is_file(path)
    ending, _ = ending_of(path)
    if ending in TEXT_FORMATS:
        return CsvSource(path, selection, form)
    if not form.is_usual:
        raise InvalidInputError(
            f"{path} is no text file, and --separator, --decimal, --thousands and --encoding say how one is "
            "written; leave them out"
        )
    kinds = {".parquet": ParquetSource, ".pq": ParquetSource, ".npy": NpySource, ".npz": NpzSource}
    if ending not in kinds:
        raise FileFormatError(
            f"{path} is of an unknown format {path.suffix!r}; use one of "
            f"{', '.join((*TEXT_FORMATS, *kinds))}; text may be compressed ({', '.join(COMPRESSIONS)})"
        )
    return kinds[ending](path, selection)
