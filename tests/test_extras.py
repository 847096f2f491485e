"""A missing package is reported with the smallest extra that brings it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from softmaxlib._extras import EXTRAS, missing, require

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGES = {"sklearn": "scikit-learn"}

WITHOUT = """
import sys
from softmaxlib._extras import EXTRAS
import numpy as np
import softmaxlib
def said(act):
    try:
        act()
    except ModuleNotFoundError as error:
        print(error)
evaluation = softmaxlib.evaluate(np.array([[2.0, 0.5], [0.0, 1.5], [3.0, -1.0]]), [0, 1, 1])
logits = np.array([[2.0, -1.5], [-0.5, 1.5]] * 20)
of_labels = softmaxlib.report.evaluate_multilabel(logits, [[1, 0], [0, 1]] * 20)
policy = softmaxlib.Policy(softmaxlib.calibration.Identity(), softmaxlib.decisions.MostLikely())
policy.fit(np.tile([[2.0, 0.5], [0.0, 1.5], [3.0, -1.0]], (10, 1)), [0, 1, 1] * 10)
sys.modules.update(dict.fromkeys(EXTRAS))  # None: as if not installed
said(lambda: softmaxlib.report.ConfidenceDisplay.from_predictions([[2.0, 0.5]], [0]))
said(lambda: evaluation.to_html("report.html"))
said(lambda: of_labels.to_html("report.html"))
said(lambda: policy.to_onnx("policy.onnx"))
said(lambda: list(policy.decide_batches([])))
for name in ("sklearn", "torch", "jax", "keras", "files"):
    said(lambda: __import__(f"softmaxlib.{name}"))
"""


def brought(extra: str) -> set[str]:
    """The packages that an extra names, those of the extras it consists of included."""
    found = set()
    for needed in PROJECT["optional-dependencies"][extra]:
        inner = re.fullmatch(r"softmaxlib\[(.*)\]", needed)
        if inner:
            found |= set().union(*map(brought, inner[1].split(",")))
        else:
            found |= set(re.split(r"[\[>=<, ]+", needed.split("]")[0])[:3])
    return found


@pytest.mark.parametrize("module", EXTRAS)
def test_each_module_is_brought_by_the_smallest_extra(module):
    package = PACKAGES.get(module, module)
    sizes = {
        extra: len(brought(extra))
        for extra in PROJECT["optional-dependencies"]
        if extra not in {"test", "bench", "docs"} and package in brought(extra)
    }
    assert sizes[EXTRAS[module]] == min(sizes.values())


def test_what_is_there_is_not_complained_about():
    require("matplotlib", "drawing")


def test_the_message(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"^this needs dask; install it with: pip install 'softmaxlib\[dask\]'$"
    ):
        require("dask", "this")
    assert missing("fsspec.core", "this") == "this needs fsspec; install it with: pip install fsspec"


def test_whatever_needs_an_extra_names_it(tmp_path):
    command = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "drawing needs matplotlib; install it with: pip install 'softmaxlib[report]'",
        "drawing needs matplotlib; install it with: pip install 'softmaxlib[report]'",
        "an HTML report needs jinja2; install it with: pip install 'softmaxlib[report]'",
        "exporting needs onnx; install it with: pip install 'softmaxlib[onnx]'",
        "Policy.decide_batches needs pyarrow; install it with: pip install 'softmaxlib[files]'",
        "softmaxlib.sklearn needs sklearn; install it with: pip install 'softmaxlib[sklearn]'",
        "softmaxlib.torch needs torch; install it with: pip install 'softmaxlib[torch]'",
        "softmaxlib.jax needs jax; install it with: pip install 'softmaxlib[jax]'",
        "softmaxlib.keras needs keras; install it with: pip install 'softmaxlib[keras]'"
        ", and one of its backends: torch, jax, tensorflow",
        "softmaxlib.files needs pyarrow; install it with: pip install 'softmaxlib[files]'",
    ]


def test_the_extras_that_the_guide_lists_exist():
    guide = (Path(__file__).parents[1] / "docs/install.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)
    assert set(listed) == set(PROJECT["optional-dependencies"]) - {"test", "check", "bench", "docs"}
