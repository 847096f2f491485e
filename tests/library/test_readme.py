"""The examples of the README and of the guide, run as a reader would."""

import doctest
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("README.md", "docs/decisions.md")}


@pytest.mark.parametrize("page", PAGES)
def test_python(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, page, 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.attempted > 15
    assert result.failed == 0, "".join(report)
    assert (tmp_path / "report.html").exists() == (page == "README.md")


@pytest.mark.parametrize(("page", "count"), [("README.md", 6), ("docs/decisions.md", 4)])
def test_console(page, count, tmp_path, monkeypatch, capsys, demo_run):
    from softmaxlib.cli._app import run

    monkeypatch.chdir(tmp_path)
    for name in ("validation.parquet", "test.parquet"):
        table = pyarrow.parquet.read_table(demo_run[0] / name)
        wards = np.array(["north", "south"])[np.arange(len(table)) % 2]
        pyarrow.parquet.write_table(table.append_column("ward", pa.array(wards)), tmp_path / name)
    (block,) = re.findall(r"```console\n(.*?)```", PAGES[page], re.DOTALL)
    commands = re.findall(r"^\$ softmaxlib (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(commands) == count
    for arguments, expected in commands:
        capsys.readouterr()
        assert run(shlex.split(arguments)) == 0, capsys.readouterr().err
        if expected:
            found = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
            assert found == expected.splitlines()


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # Keras and NumPy 2
def test_the_guide_to_the_frameworks(monkeypatch):
    for name in ("torch.nn", "jax.numpy", "keras.layers", "sklearn.base"):
        if name == "keras.layers" and "KERAS_BACKEND" not in os.environ:
            monkeypatch.setenv("KERAS_BACKEND", "torch")
        pytest.importorskip(name)
    guide = (Path(__file__).parents[2] / "docs/frameworks.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == 5
    example = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, "frameworks.md", "frameworks.md", 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("script", ["demo", "test"])
def test_the_two_commands_exist(script):
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111
    assert f"scripts/{script}" in PAGES["README.md"]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGES["README.md"]))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
