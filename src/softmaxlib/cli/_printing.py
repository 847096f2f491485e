"""Standard output of commands: escaped, and wrapped only in a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._files import write_text
from .._text import printable

if TYPE_CHECKING:
    from ..report import Verdict

STANDARD_OUTPUT = Path("-")
_UNWRAPPED = 1_000_000


def console() -> Console:
    """Return a console on standard output; lines are not wrapped unless it is a terminal."""
    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=_UNWRAPPED)


class Printer:
    """The output of a command when it is done.

    Parameters
    ----------
    quiet : bool
        Whether to print nothing: with ``--quiet``, or if JSON goes to standard output.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def line(self, text: str, style: str = "") -> None:
        """Print one line."""
        if not self.quiet:
            console().print(Text(printable(text), style), soft_wrap=True)

    def table(
        self, titles: Sequence[str], rows: Iterable[Sequence[str | Text]], numbers: Sequence[str] = ()
    ) -> None:
        """Print a table; columns whose titles are in `numbers` are aligned to the right."""
        if self.quiet:
            return
        table = Table(box=None, pad_edge=False)
        for title in titles:
            table.add_column(title, justify="right" if title in numbers else "left")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
        console().print(table)


def print_verdict(verdict: "Verdict", printer: Printer) -> None:
    """Print the headline of an evaluation, and its sentences."""
    printer.line(verdict.headline, style="bold")
    for sentence in verdict.sentences:
        printer.line(f"- {sentence}")


def write_json(content: Any, path: Path) -> None:
    """Write JSON to a file, whole or not at all, or to standard output for ``-``."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    write_text(path, text)


def as_output(path: Path | None) -> Path | None:
    """Return the path of a file to be written; None for standard output."""
    return None if path == STANDARD_OUTPUT else path
