"""The output of commands on standard output: safe to show, and wrapped only where a terminal is."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._files import write_text
from .._text import printable

STANDARD_OUTPUT = Path("-")
_UNWRAPPED = 1_000_000


def console() -> Console:
    """A console on standard output; lines are as long as they are where no terminal reads."""
    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=_UNWRAPPED)


class Printer:
    """What a command says when it is done.

    Parameters
    ----------
    quiet : bool
        Whether it says nothing: ``--quiet``, or where JSON goes to standard output.
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
        """Print a table; the columns of `numbers`, which are among the titles, are set to the right."""
        if self.quiet:
            return
        table = Table(box=None, pad_edge=False)
        for title in titles:
            table.add_column(title, justify="right" if title in numbers else "left")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row))
        console().print(table)


def write_json(content: Any, path: Path) -> None:
    """Write JSON to a file, whole or not at all, or to standard output for ``-``."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    write_text(path, text)


def as_output(path: Path | None) -> Path | None:
    """The path as a file that is written; None for standard output."""
    return None if path == STANDARD_OUTPUT else path
