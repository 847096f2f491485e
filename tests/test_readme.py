"""The README's examples, run as a reader would."""

import doctest
import re
import shlex
import shutil
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


def test_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(PYTHON) == 2
    example = doctest.DocTestParser().get_doctest("\n".join(PYTHON), {}, "README.md", "README.md", 0)
    report: list[str] = []
    result = doctest.DocTestRunner().run(example, out=report.append)
    assert result.attempted > 15
    assert result.failed == 0, "".join(report)
    assert (tmp_path / "report.html").exists()


def test_console(tmp_path, monkeypatch, capsys, demo_run):
    from softmaxlib.cli._app import run

    monkeypatch.chdir(tmp_path)
    for name in ("validation.parquet", "test.parquet"):
        shutil.copy(demo_run[0] / name, tmp_path)
    (block,) = CONSOLE
    commands = re.findall(r"^\$ softmaxlib (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert len(commands) == 5
    for arguments, expected in commands:
        capsys.readouterr()
        assert run(shlex.split(arguments)) == 0, capsys.readouterr().err
        if expected:
            found = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
            assert found == expected.splitlines()


@pytest.mark.parametrize("script", ["demo", "test"])
def test_the_two_commands_exist(script):
    path = Path(__file__).parents[1] / "scripts" / script
    assert path.stat().st_mode & 0o111
    assert f"scripts/{script}" in README


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(link):
    assert (Path(__file__).parents[1] / link).exists()
