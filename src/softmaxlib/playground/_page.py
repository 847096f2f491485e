"""Assemble the playground's page from its parts."""

import base64
import hashlib
import re
from importlib import resources
from string import Template

_PACKAGE = "softmaxlib.playground"
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([a-z0-9]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|class|(?:async )?function) (\w+))", re.MULTILINE)
_LEFT_OVER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def playground_html() -> str:
    """Return the playground as one HTML page that works from a file."""
    style = _read("page/playground.css")
    script = _bundle("main.js")
    kernels = resources.files(_PACKAGE).joinpath("kernels.wasm.gz").read_bytes()
    return Template(_read("page/playground.html")).substitute(
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        kernels=base64.b64encode(kernels).decode(),
    )


def _bundle(entry: str) -> str:
    """Join a module and all that it imports into one script, each module after those that it imports.

    A page that is opened from a file can't import another file. Each module becomes a function with its own
    scope, and its exports become an entry of one object.
    """
    joined: dict[str, str] = {}
    waiting: list[str] = []

    def add(name: str) -> None:
        if name in waiting:
            raise ValueError(f"modules import each other in a circle: {' -> '.join([*waiting, name])}")
        if name in joined:
            return
        waiting.append(name)
        text = _read(f"page/{name}")
        for _, imported in _IMPORT.findall(text):
            add(imported)
        waiting.remove(name)
        joined[name] = _as_function(name, text)

    add(entry)
    return "\n".join(["const modules = {};", *joined.values()])


def _as_function(name: str, text: str) -> str:
    exported = ", ".join(match[1] for match in _EXPORT.findall(text))
    body = _EXPORT.sub(r"\1", _IMPORT.sub(r'const \1 = modules["\2"];', text))
    left_over = _LEFT_OVER.search(body)
    if left_over:
        raise ValueError(f"{name}: an import or export must be a plain named one, got {left_over[0]!r}")
    return f'modules["{name}"] = (() => {{\n{body}return {{ {exported} }};\n}})();'


def _read(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
