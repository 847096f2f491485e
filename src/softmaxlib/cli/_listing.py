"""Tables that fit the width of the terminal: with bars, without them, or one line per number."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_UNLIMITED = 1_000_000


@dataclass(frozen=True)
class Listing:
    """Rows of text, each with a name.

    Attributes
    ----------
    titles : sequence of str
        The titles of all columns, that of the names first.
    rows : sequence of sequences of str
        One text per column.
    footer : sequence of str
        A last row, set apart; empty for none.
    bars : sequence of str
        A bar per row, left out in a narrow terminal; empty for none.
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    footer: Sequence[str] = ()
    bars: Sequence[str] = ()

    def print(self, console: Console) -> None:
        """Print the widest form that fits."""
        unlimited = console.options.update(max_width=_UNLIMITED)
        for bars in (self.bars, ()):
            table = self._table(bars)
            if Measurement.get(console, unlimited, table).maximum <= console.width:
                console.print(table)
                return
        for line in self._lines():
            console.print(Text(line))

    def _table(self, bars: Sequence[str]) -> Table:
        table = Table(box=None, pad_edge=False, show_footer=bool(self.footer))
        for index, title in enumerate(self.titles):
            footer = self.footer[index] if self.footer else ""
            justify = "right" if index else "left"
            table.add_column(Text(title), footer=Text(footer), justify=justify, no_wrap=True)
        if bars:
            table.add_column("", no_wrap=True)
        for index, row in enumerate(self.rows):
            table.add_row(*map(Text, row), *bars[index : index + 1])
        return table

    def _lines(self) -> Iterator[str]:
        named = [[f"{self.titles[0]} {name}".strip(), *numbers] for name, *numbers in self.rows]
        for name, *numbers in [*named, *([self.footer] if self.footer else [])]:
            yield name
            for title, number in zip(self.titles[1:], numbers, strict=True):
                if number:
                    yield f"  {title}: {number}"
