"""The figures of the gallery, drawn by the code above them."""

import contextlib
import doctest
import io
import re
import tempfile
from typing import Any

BLOCK = re.compile(r"```python\n(.*?)```\n", re.DOTALL)


def with_figures(markdown: str) -> str:
    """Run the page's examples, and put the figure of each below it."""
    names: dict[str, Any] = {}
    return BLOCK.sub(lambda found: found[0] + _figure(found[1], names), markdown)


def _figure(code: str, names: dict[str, Any]) -> str:
    from softmaxlib.report.svg import to_svg

    examples = doctest.DocTestParser().get_examples(code)
    names.pop("display", None)
    with (
        contextlib.redirect_stdout(io.StringIO()),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
    ):
        for example in examples:
            exec(compile(example.source, "gallery.md", "single"), names)
    if "display" not in names:
        return ""
    kind = type(names["display"]).__name__
    svg = to_svg(names["display"], f"The figure that {kind} draws").svg
    return f'\n<div class="figure" markdown="0">{svg}</div>\n'
