"""The reference of the site has a page for each package, and every public name on it."""

import importlib
import re
import sys
from pathlib import Path

import pytest

import softmaxlib

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference():
    sys.path.insert(0, str(ROOT / "docs/_tools"))
    try:
        yield importlib.import_module("reference")
    finally:
        sys.path.pop(0)


def public_packages() -> set[str]:
    """Those of which a name can't be had from the package above."""
    root = Path(softmaxlib.__file__).parent
    folders = [path.parent.relative_to(root).parts for path in root.glob("**/__init__.py")]
    found = {".".join(parts) for parts in folders if parts and not any(part[0] == "_" for part in parts)}
    nested = {name for name in found if "." in name}
    inside = {
        name for name in nested if set(public_names(name)) <= set(public_names(name.rpartition(".")[0]))
    }
    return found - inside | {"errors", "softmaxlib"}


def public_names(package: str) -> list[str]:
    """Read the names from the text, so that no framework has to be imported."""
    root = ROOT / "src/softmaxlib"
    folder = root if package == "softmaxlib" else root / package.replace(".", "/")
    path = folder / "__init__.py" if folder.is_dir() else root / f"{package}.py"
    (listed,) = re.findall(r"^__all__ = \[(.*?)\]", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r'"(\w+)"', listed)


def test_each_package_has_a_page(reference):
    assert set(reference.packages()) == public_packages() - {"cli"}
    pages = re.findall(r"api/([\w.]+)\.md", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert sorted(pages) == sorted([*reference.packages(), "index", "command_line"])
    index = reference.index_page()
    assert all(f"]({name}.md)" in index for name in reference.packages())


@pytest.mark.parametrize("package", sorted(public_packages() - {"cli"}))
def test_every_public_name_is_on_its_page(reference, package):
    name = "softmaxlib" if package == "softmaxlib" else f"softmaxlib.{package}"
    page = reference.package_page(package)
    described = re.findall(rf"^::: {re.escape(name)}\.(\w+)$", page, re.MULTILINE)
    linked = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    assert sorted(described + linked) == sorted(public_names(package))
    assert package == "softmaxlib" or linked == []


def test_every_command_is_on_the_page_of_the_command_line(reference):
    page = reference.command_line_page()
    commands = ["explain", "explore", "fit", "decide", "evaluate", "audit", "export", "demo"]
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == commands
    assert "`--abstain-cost" in page
    assert "128 + n" in page


def test_every_display_is_in_the_gallery():
    gallery = (ROOT / "docs/gallery.md").read_text("utf-8")
    displays = {name for name in public_names("report") if name.endswith("Display")} - {"Display"}
    assert set(re.findall(r"^>>> display = (\w+Display)\b", gallery, re.MULTILINE)) == displays
