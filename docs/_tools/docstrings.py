"""How mkdocstrings reads the docstrings: numpydoc's markup as Markdown, functions before modules of their name."""

import re
import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))

from mathematics import to_mathml


class Numpydoc(griffe.Extension):
    """Translate numpydoc's markup, and let a public name mean the function, not the module that holds it."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Translate one docstring."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        """Put functions in the place of the modules that have their names."""
        loader.resolve_aliases()
        shadowed = [
            (package, name)
            for package in pkg.modules.values()
            for name in package.exports or ()
            if isinstance(name, str) and isinstance(package.members.get(name), griffe.Module)
        ]
        for package, name in shadowed:
            function = package.members[name].members[name]
            package.members[name] = griffe.Alias(name, function, parent=package)


def as_markdown(text: str) -> str:
    """Translate formulas, roles, literal blocks and references of reStructuredText."""
    text = re.sub(r"^( *)\.\. math:: *((?:.+\n?)(?:\1 +.+\n?)*)", _formula, text, flags=re.MULTILINE)
    text = re.sub(r":math:`([^`]+)`", lambda found: to_mathml(found[1], display=False), text)
    text = re.sub(r":(?:func|meth|class|mod|attr):`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"`([^`\n]+) <(https?://[^`]+)>`_", r"[\1](\2)", text)
    text = re.sub(r"::\n\n(?=(?:    |\t))", ":\n\n", text)
    text = re.sub(r"^:\n\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^( *)\.\. \[(\w+)\]", r"\1[\2]", text, flags=re.MULTILINE)


def _formula(found: re.Match[str]) -> str:
    return f"{found[1]}<div>{to_mathml(' '.join(found[2].split()), display=True)}</div>\n"
