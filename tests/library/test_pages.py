"""The examples of the README and of every page of the site, run as a reader would."""

import contextlib
import doctest
import os
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in SOURCES}
SESSIONS = {
    page: re.findall(r"```python\n(>>> .*?)```", text, re.DOTALL)
    for page, text in PAGES.items()
    if page != "docs/serving.md"  # whose recipes test_serving.py runs
}
COMMANDS = {
    page: re.findall(r"```console\n(\$ softmaxlib .*?)```", text, re.DOTALL) for page, text in PAGES.items()
}
NEEDED = {
    "docs/frameworks.md": ("torch.nn", "jax.numpy", "keras.layers", "sklearn.base"),
    "docs/parallel.md": ("jax.numpy",),
}


@pytest.fixture(scope="module")
def payments(tmp_path_factory):
    """The folder with the files of the fraud score, written as the page about binary classifiers does."""
    (made,) = (session for session in SESSIONS["docs/binary.md"] if "def payments" in session)
    folder = tmp_path_factory.mktemp("payments")
    with contextlib.chdir(folder):
        exec("".join(example.source for example in doctest.DocTestParser().get_examples(made)), {})
    return folder


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")  # Keras and NumPy 2
@pytest.mark.parametrize("page", [page for page, blocks in SESSIONS.items() if blocks])
def test_python(page, payments, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(payments, tmp_path, dirs_exist_ok=True))
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    for name in NEEDED.get(page, ()):
        pytest.importorskip(name)
    example = doctest.DocTestParser().get_doctest("\n".join(SESSIONS[page]), {}, page, page, 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.attempted == len(re.findall(r"^>>> ", "\n".join(SESSIONS[page]), re.MULTILINE))
    assert result.failed == 0, "".join(report)


def test_no_session_is_overlooked():
    for page, text in PAGES.items():
        blocks = re.findall(r"^```(.*?)^```", text, re.DOTALL | re.MULTILINE)
        assert [
            block for block in blocks if ">>> " in block and not block.startswith("python\n>>> ")
        ] == [], page
    assert {"README.md", "docs/softmax.md", "docs/gallery.md"} <= {
        page for page in SESSIONS if SESSIONS[page]
    }


@pytest.mark.parametrize("page", [page for page, blocks in COMMANDS.items() if blocks])
def test_console(page, payments, tmp_path, monkeypatch, capsys, demo_run):
    from softmaxlib.cli._app import run

    monkeypatch.chdir(shutil.copytree(payments, tmp_path, dirs_exist_ok=True))
    for name in ("validation.parquet", "test.parquet"):
        table = pyarrow.parquet.read_table(demo_run[0] / name)
        wards = np.array(["north", "south"])[np.arange(len(table)) % 2]
        pyarrow.parquet.write_table(table.append_column("ward", pa.array(wards)), tmp_path / name)
    blocks = "".join(COMMANDS[page])
    commands = re.findall(r"^\$ softmaxlib (.*)\n((?:(?!\$ ).*\n)*)", blocks, re.MULTILINE)
    assert len(commands) == blocks.count("$ ")
    for arguments, expected in commands:
        capsys.readouterr()
        assert run(shlex.split(arguments)) == 0, capsys.readouterr().err
        if expected:
            found = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
            assert found == expected.splitlines()


@pytest.mark.parametrize("script", ["demo", "test", "docs"])
def test_the_commands_of_the_readme_exist(script):
    path = ROOT / "scripts" / script
    assert path.stat().st_mode & 0o111
    assert f"scripts/{script}" in PAGES["README.md"]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", PAGES["README.md"]))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
