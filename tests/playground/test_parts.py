"""Checks of the page that need no browser."""

import base64
import gzip
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

import softmaxlib
from softmaxlib.playground import _page, playground_html

FOLDER = Path(softmaxlib.__file__).parent / "playground"
BUILD = Path(__file__).parents[2] / "scripts" / "playground"
MOST_BYTES = 600_000


@pytest.fixture(scope="module")
def page():
    return playground_html()


def test_nothing_comes_from_elsewhere(page):
    addresses = set(re.findall(r"https?://[^\s\"'`]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"\b(?:src|href)=\"(?!#)", page)


def test_only_the_page_s_own_script_and_style_may_run(page):
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{hashes[0]}' 'wasm-unsafe-eval'",
        f"style-src 'sha256-{hashes[1]}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_the_kernels_are_small(page):
    kernels = (FOLDER / "kernels.wasm.gz").read_bytes()
    assert len(kernels) < MOST_BYTES
    assert base64.b64encode(kernels).decode() in page
    assert gzip.decompress(kernels)[:4] == b"\0asm"


def test_every_part_is_used(page):
    for script in (FOLDER / "page").glob("*.js"):
        assert f'modules["{script.name}"] = ' in page


def test_the_kernels_are_what_the_sources_give(tmp_path):
    built = tmp_path / "kernels.wasm.gz"
    ended = subprocess.run([BUILD, built], capture_output=True, text=True)
    if ended.returncode == 3:
        pytest.skip(f"the playground's kernels were not compiled anew: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stderr
    same = gzip.decompress(built.read_bytes()) == gzip.decompress((FOLDER / "kernels.wasm.gz").read_bytes())
    assert same, "the C++ sources have changed: run scripts/playground"


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ({"main.js": 'import { a } from "./b.js";\n', "b.js": 'import { b } from "./main.js";\n'}, "circle"),
        ({"main.js": "export default 3;\n"}, "must be a plain named one"),
        ({"main.js": 'import * as a from "./a.js";\n'}, "must be a plain named one"),
    ],
)
def test_what_the_bundle_does_not_know_is_an_error(monkeypatch, modules, words):
    monkeypatch.setattr(_page, "_read", lambda name: modules[name.removeprefix("page/")])
    with pytest.raises(ValueError, match=words):
        _page._bundle("main.js")
