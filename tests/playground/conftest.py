import shutil

import pytest

from softmaxlib.playground import playground_html

from .browser import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("the playground's kernels were not run: no node on the PATH (Debian: nodejs)")
    return found


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("the playground was not opened: no Chromium on the PATH (Debian: chromium)")
    browser = Browser(found, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> str:
    """The page, as a file."""
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(playground_html(), "utf-8")
    return path.as_uri()
