"""Comparison of two sources: their names, and the printed table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInputError
from ._printing import Printer

if TYPE_CHECKING:
    from ..report import Comparison

_STANDARD_INPUT = "-"


def check_sources(sources: Sequence[str], fail_on: str | None) -> None:
    """Refuse more than two sources, and with two of them, options that apply to only one."""
    if len(sources) > 2:
        raise InvalidInputError(
            f"evaluate takes one source, or two to compare, got {len(sources)}; for several files of one "
            "model, name their folder, or a pattern in quotes"
        )
    if len(sources) < 2:
        return
    if _STANDARD_INPUT in sources:
        raise InvalidInputError("- is standard input, and is read alone; name two files to compare")
    if sources[0] == sources[1]:
        raise InvalidInputError(f"a source is compared with another, got {sources[0]} twice; name two")
    if fail_on is not None:
        raise InvalidInputError("--fail-on is about one evaluation, and two are compared; leave it out")


def models_of(models: Sequence[str] | None, sources: Sequence[str]) -> list[str | None]:
    """Return the model of each source."""
    if not models:
        return [None] * len(sources)
    if len(models) != len(sources):
        raise InvalidInputError(
            f"--model must be given once for each source, got {len(models)} for {len(sources)}"
        )
    return list(models)


def names_of(sources: Sequence[str]) -> tuple[str, str]:
    """Name two sources by the last parts of their paths, or by the whole paths if these are equal."""
    first, second = sources
    ends = Path(first).name, Path(second).name
    return ends if ends[0] != ends[1] else (first, second)


def print_comparison(comparison: "Comparison", printer: Printer) -> None:
    """Print the figures side by side, and the sentences below them."""
    printer.line(comparison.headline, style="bold")
    rows = [
        (*row, comparison.better(one) or "-")
        for one, row in zip(comparison.figures, comparison.table(), strict=True)
    ]
    first, second = comparison.names
    titles = ("Figure", first, second, "Difference (95% interval, p-value)", "Better")
    printer.table(titles, rows, numbers=titles[1:4])
    about_figures = len(comparison.figures)
    for sentence in (comparison.sentences[0], *comparison.sentences[1 + about_figures :]):
        printer.line(f"- {sentence}")
