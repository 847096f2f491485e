import webbrowser
from pathlib import Path

import pytest

from softmaxlib.playground import playground_html


@pytest.fixture
def opened(monkeypatch):
    """The addresses that a browser was asked for, on a machine with a desktop."""
    addresses = []
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


def path_in(outcome, start):
    (line,) = [line for line in outcome.out.splitlines() if line.startswith(start)]
    return Path(line.removeprefix(start))


def test_opens_the_page_in_the_browser(softmaxlib, opened):
    outcome = softmaxlib("explore")
    assert outcome.code == 0
    path = path_in(outcome, "Opened in the browser: ")
    assert opened == [path.as_uri()]
    assert path.read_text("utf-8") == playground_html()


def test_a_file_is_written_and_not_opened(softmaxlib, opened, tmp_path):
    outcome = softmaxlib("explore", "-o", "page.html")
    assert outcome.code == 0
    assert "The playground: page.html" in outcome.out
    assert (tmp_path / "page.html").read_text("utf-8") == playground_html()
    assert opened == []


def test_without_browser_it_says_where_the_page_is(softmaxlib, opened):
    outcome = softmaxlib("explore", "--no-browser")
    assert path_in(outcome, "The playground: ").read_text("utf-8") == playground_html()
    assert "needs no network" in outcome.out
    assert opened == []


@pytest.mark.parametrize("away", [{"SSH_CONNECTION": "1 2 3 4"}, {"DISPLAY": None, "WAYLAND_DISPLAY": None}])
def test_over_ssh_or_without_desktop_nothing_is_opened(softmaxlib, opened, monkeypatch, away):
    monkeypatch.setattr("sys.platform", "linux")
    for name, value in away.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    assert path_in(softmaxlib("explore"), "The playground: ").is_file()
    assert opened == []


def test_a_browser_that_does_not_start_is_no_failure(softmaxlib, opened, monkeypatch):
    monkeypatch.setattr(webbrowser, "open", lambda _: False)
    outcome = softmaxlib("explore")
    assert outcome.code == 0
    assert path_in(outcome, "The playground: ").is_file()


def test_standard_output(softmaxlib):
    assert softmaxlib("explore", "-o", "-").out == playground_html()


def test_a_folder_that_does_not_exist(softmaxlib):
    outcome = softmaxlib("explore", "-o", "nowhere/page.html")
    outcome.assert_failed("nowhere", "does not exist; create it first")
