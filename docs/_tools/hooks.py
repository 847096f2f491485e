"""Hooks of MkDocs: they generate some pages and complete others."""

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))

import gallery
import mathematics
import notebooks
import reference
from docstrings import as_markdown

ROOT = Path(__file__).parents[2]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the sources."""
    from softmaxlib.playground import playground_html

    made = {
        "changelog.md": (ROOT / "CHANGELOG.md").read_text("utf-8"),
        "playground/page.html": playground_html(),
        "api/command_line.md": reference.command_line_page(),
    }
    made |= {f"api/{name}.md": reference.package_page(name) for name in reference.packages()}
    made["api/index.md"] = reference.index_page()
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        made[f"notebooks/{path.stem}.md"] = notebooks.as_markdown(path)
    for address, content in made.items():
        files.append(File.generated(config, address, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Draw figures and formulas, and mark console sessions as such."""
    if page.file.src_uri == "gallery.md":
        markdown = gallery.with_figures(markdown)
    if page.file.src_uri.startswith("api/"):
        markdown = as_markdown(markdown)
    return mathematics.with_formulas(as_sessions(with_notebook_pages(markdown)))


def with_notebook_pages(markdown: str) -> str:
    """Link to the page of a notebook in place of its file, which readers of the repository open."""
    return re.sub(r"\((notebooks/\w+)\.ipynb\)", r"(\1.md)", markdown)


def as_sessions(markdown: str) -> str:
    """Mark examples with prompts as sessions, and drop the empty line that ends them for doctest."""
    return re.sub(r"```python\n(>>> .*?)\n+```", r"```pycon\n\1\n```", markdown, flags=re.DOTALL)
