"""The instruction sets: their list, forcing one, and that none leaks into another."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from exported_symbols import KINDS, check_symbols
from fuzz import build_driver

import softmaxlib
from softmaxlib import _kernels

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(softmaxlib.__file__).resolve().parents[1]
SETS = _kernels.configuration()["instruction_sets"]
HERE = [name for name, _, supported in SETS if supported]


def start(name):
    return subprocess.run(
        [sys.executable, "-c", "import softmaxlib; softmaxlib.show_config()"],
        env=os.environ | {"PYTHONPATH": str(SOURCE), "SOFTMAXLIB_ISA": name},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", HERE)
def test_a_forced_set_is_the_one_in_use(name):
    run = start(name)
    assert run.returncode == 0, run.stderr
    assert re.search(rf"^\s+{name}\s+in use\s", run.stdout, re.MULTILINE)
    assert run.stdout.count("in use") == 1


def test_an_empty_name_chooses_the_best():
    run = start("")
    assert re.search(rf"^\s+{HERE[0]}\s+in use\s", run.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    "name", ["sse9", "AVX2", "avx2 ", *[name for name, _, supported in SETS if not supported]]
)
def test_an_unknown_set_is_an_import_error_that_lists_the_others(name):
    run = start(name)
    assert run.returncode == 1
    message = run.stderr.strip().splitlines()[-1]
    assert message == (
        "ImportError: SOFTMAXLIB_ISA must name an instruction set that this machine has "
        f"({', '.join(HERE)}), got '{name}'; unset it to let the best one be chosen"
    )


@functools.cache
def built_objects():
    """The newest objects that the module, or its driver alone, was linked of: {"kernels_avx2": path, ...}."""
    build_driver()
    folders = [folder for name in ("cp*", "in-place", "driver") for folder in ROOT.glob(f"build/{name}")]
    found = [path for folder in folders for path in folder.glob("CMakeFiles/*_*.dir/cpp/*.o")]
    assert found, "build/ holds no objects of the kernels; scripts/build makes them"
    return {path.parents[1].stem: path for path in sorted(found, key=lambda path: path.stat().st_mtime)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name, _, _ in SETS])
def test_an_object_exports_its_table_alone(name, kind):
    """Look at the objects that ship; scripts/nightly compiles others without optimization."""
    check_symbols(built_objects()[f"{kind}_{name}"], f"softmaxlib_{kind}_{name}")


@pytest.mark.parametrize("name", ["portable", "avx2", "avx512", "neon"])
def test_every_header_offers_the_same_names(name):
    """The other headers define all that the portable one does, and otherwise only what they use."""

    def names(which):
        text = (ROOT / "cpp" / "lanes" / f"{which}.h").read_text(encoding="utf-8")
        return set(re.findall(r"^ *inline [\w#]+(?: [\w#]+)?[ &]+(\w+|operator.)\(", text, re.MULTILINE))

    assert names("portable") - names(name) == set()
