"""The gallery of the site: each figure is drawn below the code that makes it."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = """Text.

```python
>>> import matplotlib.figure
>>> from softmaxlib.report import CalibrationDisplay
>>> ax = matplotlib.figure.Figure().subplots()
>>> display = CalibrationDisplay.from_predictions([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [0, 1, 1], ax=ax)
```
"""


@pytest.fixture(scope="module")
def page():
    sys.path.insert(0, str(ROOT / "docs/_tools"))
    try:
        return importlib.import_module("gallery").with_figures(PAGE)
    finally:
        sys.path.pop(0)


def test_a_figure_is_drawn_below_its_code(page):
    assert page.startswith(PAGE)
    figure = page.removeprefix(PAGE)
    assert re.fullmatch(r'\n<div class="figure" markdown="0"><svg .*</svg></div>\n', figure, re.DOTALL)
    assert figure.count("<svg") == 1


def test_the_site_styles_what_a_figure_is_made_of(page):
    style = (ROOT / "docs/site.css").read_text("utf-8")
    classes = set(re.findall(r'class="(\w+)"', page))
    assert {"figure", "spot"} <= classes
    assert all(f".{name}" in style for name in classes)
    colors = set(re.findall(r"var\((--\w+)\)", page))
    assert colors
    assert all(f"{name}:" in style for name in colors)
