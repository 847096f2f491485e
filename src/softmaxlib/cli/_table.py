"""The options of every command that reads rows: columns of the classes, form of text files."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._bundles import in_place_of
from ._options import (
    Columns,
    Decimal,
    Encoding,
    Positive,
    Renormalize,
    Score,
    Separator,
    Thousands,
)

if TYPE_CHECKING:
    from ..files.csv_format import CsvFormat


@dataclass(frozen=True)
class Table:
    """The options of a command for reading its rows."""

    columns: Columns = None
    score: Score = None
    positive: Positive = None
    renormalize: Renormalize = False
    separator: Separator = None
    decimal: Decimal = None
    thousands: Thousands = None
    encoding: Encoding = None

    def form(self) -> "CsvFormat":
        """Return the format of text files."""
        from ..files.csv_format import CsvFormat

        return CsvFormat.of(self.separator, self.decimal, self.thousands, self.encoding)

    def of_classes(self) -> dict[str, Any]:
        """Return the columns of the classes, as arguments for ``softmaxlib.files``."""
        return {"columns": self.columns, "score": self.score, "positive": self.positive}

    def arguments(self) -> dict[str, Any]:
        """Return all options as arguments for ``softmaxlib.files``."""
        return {**self.of_classes(), "renormalize": self.renormalize, "csv": self.form()}


def with_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Table` in place of its parameter ``table``."""
    options = list(inspect.signature(Table, eval_str=True).parameters.values())
    return in_place_of("table", options, lambda said: Table(**said), command)
