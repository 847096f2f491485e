import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from softmaxlib.cli._app import run as run_app


class Outcome:
    """The code and the output of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def assert_failed(self, *words: str) -> None:
        """Exit code 2, one line that says all of `words`, and no traceback."""
        assert self.code == 2, self.err
        lines = [line for line in self.err.splitlines() if not line.startswith("softmaxlib: warning:")]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("softmaxlib: error: ")
        for word in words:
            assert word in lines[0]
        assert "Traceback" not in self.err


@pytest.fixture
def softmaxlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """`softmaxlib("fit", "a.csv", ...)` runs the command in this process, inside `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run_app([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def softmaxlib_process(tmp_path: Path) -> Callable[..., Outcome]:
    """The same in a process of its own, as a shell would run it."""

    def call(*arguments: object, **options: object) -> Outcome:
        command = [sys.executable, "-m", "softmaxlib", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, **options)
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call
