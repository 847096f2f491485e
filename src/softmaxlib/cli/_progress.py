"""Progress on standard error in a terminal; nothing is printed into a pipe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.status import Status


@contextmanager
def bar(doing: str, quiet: bool = False) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar (a pulse if the total is unknown), and yield the function that moves it.

    The function takes the number of rows just done, and the total.
    """
    console = Console(stderr=True)
    console.quiet = not console.is_terminal  # before 14.3, Rich ended a hidden bar with an empty line
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        task = progress.add_task(doing, total=None)

        def move(rows: int, total: int | None) -> None:
            progress.update(task, advance=rows, total=total)

        yield move


def working(doing: str, quiet: bool = False) -> Status:
    """Show a spinner while one long step runs."""
    return Console(stderr=True, quiet=quiet).status(doing)
