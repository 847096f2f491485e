"""The tree is as CONTRIBUTING.md describes it: tests mirror sources, and adding a thing touches few files."""

import ast
import dataclasses
import functools
import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src/softmaxlib"
GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
OF_NO_PACKAGE = {
    "kernels",
    "library",
    "data",
}  # the compiled code, the library as a whole, rows of real models


def packages() -> set[str]:
    return {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_the_folders_of_the_tests_are_those_of_the_sources():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders - OF_NO_PACKAGE <= {name.removeprefix("_") for name in packages()}
    assert {name for name in packages() if not name.startswith("_")} <= folders


def test_a_test_outside_of_the_folders_is_of_the_module_of_that_name():
    modules = {path.stem.removeprefix("_") for path in PACKAGE.glob("*.py")}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    assert tests <= modules


def test_the_floors_of_the_guide_are_those_of_the_contract():
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = [set(re.findall(r"\w+", layer)) for layer in contract[0]["layers"] if layer != "__main__"]
    rows = re.findall(r"^\| (\d|ground) \| (.+?) \|", GUIDE, re.MULTILINE)
    described = [set(re.findall(r"`(\w+)/?`", names)) for _, names in rows[:-1]]
    assert [number for number, _ in rows] == [*"987654321", "ground"]
    assert all(floor <= layer for floor, layer in zip(described, layers[1:], strict=False))
    public = {name for name in packages() if not name.startswith("_")} - layers[0]
    assert public <= set.union(*described)


@pytest.mark.parametrize(
    "package", ["calibration", "decisions", "files", "metrics", "policy", "report", "sampling"]
)
def test_results_can_not_be_changed(package):
    module = import_module(f"softmaxlib.{package}")
    kinds = [getattr(module, name) for name in module.__all__]
    records = [kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    assert [kind.__name__ for kind in records if not kind.__dataclass_params__.frozen] == []


def files_that_name(thing: str) -> tuple[set[str], set[str]]:
    """The modules of the package whose code names a thing, and the lists of public names that do."""
    found = {
        path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if thing in identifiers(path)
    }
    lists = {path for path in found if path.endswith("__init__.py")}
    return found - lists, lists


@functools.cache
def identifiers(path: Path) -> set[str]:
    """Return the names that the code of a file defines, imports or reads, without comments and strings."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Name(id=name) | ast.alias(name=name) | ast.Attribute(attr=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
    return names


@pytest.mark.parametrize(
    ("kind", "thing", "modules"),
    [
        ("A function", "margin_vjp", {"transforms/margin.py", "_generic/transforms.py"}),
        ("A function", "adjust_prior", {"transforms/adjust_prior.py", "_generic/transforms.py"}),
        ("A calibration", "BetaCalibration", {"calibration/beta_calibration.py", "calibration/auto.py"}),
        ("A decision rule", "SelectiveRisk", {"decisions/selective_risk.py"}),
        ("A metric", "matthews_correlation", {"metrics/matthews_correlation.py", "metrics/_sums.py"}),
    ],
)
def test_adding_a_thing_touches_as_many_files_as_the_guide_says(kind, thing, modules):
    found, lists = files_that_name(thing)
    assert found == modules
    counts = re.search(rf"\*\*{kind}\*\* \((\d) files?, (\d) lists? of names\)", GUIDE)
    assert counts is not None
    assert (len(found), len(lists)) == (int(counts[1]), int(counts[2]))


def compiled_files_that_name(thing: str) -> set[str]:
    """The files of the compiled code, its build and its Python interface that name a thing."""
    sources = [*(ROOT / "cpp").rglob("*.*"), ROOT / "CMakeLists.txt", *PACKAGE.rglob("*.py*")]
    return {
        path.relative_to(ROOT).as_posix()
        for path in sources
        if path.suffix in {".h", ".cpp", ".txt", ".py", ".pyi"}
        and "tests" not in path.parts
        and re.search(rf"\b{thing}\b", path.read_text("utf-8"))
    }


def test_adding_an_instruction_set_touches_as_many_files_as_the_guide_says():
    found = compiled_files_that_name("avx2")
    assert found | {"cpp/lanes/avx2.h"} == {"cpp/lanes/avx2.h", "cpp/dispatch.cpp", "CMakeLists.txt"}
    assert "**An instruction set** (3 files)" in GUIDE


def test_a_kernel_is_named_in_its_body_its_table_its_binding_its_types_and_its_function():
    """Its entry, its bound and its test make the eight files of the guide."""
    assert compiled_files_that_name("entmax15") == {
        "cpp/functions.h",
        "cpp/simplex.h",
        "cpp/python/activations.cpp",
        "src/softmaxlib/_kernels.pyi",
        "src/softmaxlib/activations/entmax.py",
    }
    assert "**A kernel** (8 files)" in GUIDE
