"""Conversion of docstrings for mkdocstrings: numpydoc's markup to Markdown, functions before modules."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))

from mathematics import to_mathml


class Numpydoc(griffe.Extension):
    """Translate numpydoc's markup, and let a public name mean the function, not the module that holds it."""

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Translate every docstring, then put functions in the place of the modules that have their names."""
        loader.resolve_aliases()
        for obj in _own_objects(pkg):
            if obj.docstring:
                obj.docstring.value = as_markdown(obj.docstring.value)
        shadowed = [
            (package, name)
            for package in _packages(pkg)
            for name in package.exports or ()
            if isinstance(name, str) and isinstance(package.members.get(name), griffe.Module)
        ]
        for package, name in shadowed:
            function = package.members[name].members[name]
            package.members[name] = griffe.Alias(name, function, parent=package)


def _packages(package: griffe.Module) -> Iterator[griffe.Module]:
    for module in package.modules.values():
        if module.is_init_module:
            yield module
            yield from _packages(module)


def _own_objects(obj: griffe.Object) -> Iterator[griffe.Object]:
    yield obj
    for member in obj.members.values():
        if isinstance(member, griffe.Object):
            yield from _own_objects(member)


def as_markdown(text: str) -> str:
    """Translate formulas, roles, literal blocks and references of reStructuredText."""
    text = re.sub(r"^( *)\.\. math:: *((?:.+\n?)(?:\1 +.+\n?)*)", _formula, text, flags=re.MULTILINE)
    text = re.sub(
        r":math:`([^`]+)`", lambda found: f"<span>{to_mathml(found[1], display=False)}</span>", text
    )
    text = re.sub(r":(?:func|meth|class|mod|attr):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"`([^`\n]+) <(https?://[^`]+)>`_", r"[\1](\2)", text)
    text = re.sub(r"::\n\n(?=(?:    |\t))", ":\n\n", text)
    text = re.sub(r"^:\n\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^( *)\.\. \[(\w+)\]", r"\1[\2]", text, flags=re.MULTILINE)


def _formula(found: re.Match[str]) -> str:
    return f"{found[1]}<div>{to_mathml(' '.join(found[2].split()), display=True)}</div>\n"
