import shutil

import pytest

from softmaxlib.playground import playground_html


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("the playground's kernels were not run: no node on the PATH (Debian: nodejs)")
    return found


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> str:
    """The page, as a file."""
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(playground_html(), "utf-8")
    return path.as_uri()
