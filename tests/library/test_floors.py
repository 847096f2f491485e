"""The structure: floors, cheap import, exact public names."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import softmaxlib

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"
PACKAGES = [
    "softmaxlib",
    "softmaxlib.activations",
    "softmaxlib.calibration",
    "softmaxlib.cli",
    "softmaxlib.decisions",
    "softmaxlib.errors",
    "softmaxlib.files",
    "softmaxlib.losses",
    "softmaxlib.metrics",
    "softmaxlib.playground",
    "softmaxlib.policy",
    "softmaxlib.report",
    "softmaxlib.sampling",
    "softmaxlib.sklearn",
    "softmaxlib.transforms",
]


def test_floors_are_held():
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def _taken_from_the_package_itself(path, source):
    """Names that a module imports out of ``softmaxlib/__init__.py``, past the floors' contract."""
    package = path.relative_to(SOURCES).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            if (*start, *(node.module or "").split(".")) in [("softmaxlib",), ("softmaxlib", "")]:
                yield from (name.name for name in node.names if not _is_module(name.name))
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name == "softmaxlib")


def _is_module(name):
    root = SOURCES / "softmaxlib"
    return (root / f"{name}.py").exists() or (root / name / "__init__.py").exists() or name == "_kernels"


@pytest.mark.parametrize(
    "line", ["from .. import softmax", "from softmaxlib import softmax", "import softmaxlib"]
)
def test_an_import_past_the_floors_is_seen(line):
    names = _taken_from_the_package_itself(SOURCES / "softmaxlib/losses/focal.py", line)
    assert list(names) == [line.split()[-1]]


def test_modules_import_each_other_and_not_the_package_itself():
    taken = {
        (str(path.relative_to(SOURCES)), name)
        for path in SOURCES.rglob("*.py")
        for name in _taken_from_the_package_itself(path, path.read_text())
    }
    assert taken == set()


def test_import_loads_nothing_heavier_than_numpy():
    code = (
        "import sys, numpy.random; before = set(sys.modules)\n"
        "import softmaxlib\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split()) - {"softmaxlib"}
    assert loaded <= set(sys.stdlib_module_names) | {"numpy"}


def test_the_command_line_starts_without_the_heavy_libraries():
    code = "import sys; from softmaxlib.cli._app import run; run(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"scipy", "matplotlib", "pyarrow", "sklearn", "jinja2", "torch", "jax"}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_exact(name):
    """Every public name that a package holds and that is no module is in `__all__`, and the reverse."""
    module = importlib.import_module(name)
    submodules = {found.name for found in pkgutil.iter_modules(getattr(module, "__path__", []))}
    held = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and key not in submodules and not isinstance(value, type(sys))
    }
    exported = set(module.__all__)
    assert len(module.__all__) == len(exported)
    assert exported <= set(dir(module))
    assert held - exported == set()


@pytest.mark.parametrize("name", sorted(softmaxlib.__all__))
def test_every_public_name_is_documented(name):
    assert (getattr(softmaxlib, name).__doc__ or "").strip()


NO_VERBS = {"a", "an", "the", "one", "each", "how", "which", "whether", "what", "as", "with", "of"}


@pytest.mark.parametrize("name", ["activations", "transforms", "losses", "metrics", "sampling"])
def test_the_docstring_of_a_public_function_starts_with_a_verb(name):
    module = importlib.import_module(f"softmaxlib.{name}")
    functions = [getattr(module, key) for key in module.__all__ if inspect.isfunction(getattr(module, key))]
    first = {function.__name__: inspect.getdoc(function).split()[0] for function in functions}
    nouns = ("ies", "ity", "ion", "its", "tive")  # as in Probabilities, Probability, Derivative, Logits
    assert {key for key, word in first.items() if word.lower() in NO_VERBS or word.endswith(nouns)} == set()
