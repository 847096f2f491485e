"""``softmaxlib explore``: the playground, a page to play with softmax."""

import os
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ._printing import STANDARD_OUTPUT, Printer

_NAME = "playground.html"


def explore(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write the page to this file and don't open it; - is standard output."
        ),
    ] = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Don't open the page, only print where it is.")
    ] = False,
) -> None:
    """Open a page to play with softmax: sliders, curves, overflow, the next word and training."""
    from .._files import write_text
    from ..playground import playground_html

    page = playground_html()
    if output == STANDARD_OUTPUT:
        sys.stdout.write(page)
        return
    path = Path(tempfile.mkdtemp(prefix="softmaxlib-"), _NAME) if output is None else output
    write_text(path, page)
    shown = output is None and not no_browser and _has_display() and webbrowser.open(path.as_uri())
    printer = Printer(quiet=False)
    if shown:
        printer.line(f"Opened in the browser: {path}")
    else:
        printer.line(f"The playground: {path}")
        printer.line("Open this file in a browser; it needs no network and no server.")


def _has_display() -> bool:
    """Return True if a browser started here would be visible: not over ssh, nor without a desktop."""
    if "SSH_CONNECTION" in os.environ:
        return False
    desktop = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    return desktop or sys.platform in ("win32", "darwin")
