"""The notebooks of the site run, and show what is stored in them."""

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def texts(cell: dict[str, Any]) -> list[str]:
    """Return the text that a cell printed or returned; of figures only the type."""
    parts = [output.get("text") or output["data"].get("text/plain", "") for output in cell["outputs"]]
    return "".join("".join(part) for part in parts).splitlines()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_shows_what_is_stored_in_it(name, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    manager = pytest.importorskip("jupyter_client.manager").AsyncKernelManager

    class Local(manager):
        transport = "ipc"

    monkeypatch.chdir(tmp_path)  # the sockets' names are relative to it
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    stored = json.loads((FOLDER / f"{name}.ipynb").read_text("utf-8"))
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    client(notebook, timeout=120, kernel_manager_class=Local).execute()
    for before, after in zip(stored["cells"], notebook.cells, strict=True):
        if before["cell_type"] == "code":
            assert texts(after) == texts(before), before["source"]


def test_there_is_one_for_each_reader():
    assert NOTEBOOKS == ["learner", "next_word", "pytorch", "scikit_learn"]
