"""Symbols of the kernels' objects, compiled without optimization, which would inline what is weak: a program.

python tests/kernels/exported_symbols.py
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("kernels", "decisions")
NEEDED = {"memcpy", "memset", "memmove", "memcmp", "fmaf", "fma", "fabs", "fabsf", "__stack_chk_fail"}


def check_symbols(path, table):
    """Check that an object exports its table alone, nothing weak, and needs the C library's functions alone.

    The linker takes one copy of what is weak: it may come from an object of other instructions.
    """
    symbols = subprocess.run(["nm", str(path)], check=True, capture_output=True, text=True).stdout
    kinds = [line.split()[-2:] for line in symbols.splitlines()]
    assert [symbol for kind, symbol in kinds if kind in "TDBRGSC"] == [table]
    assert [symbol for kind, symbol in kinds if kind in "WVuwv"] == []
    needed = {symbol for kind, symbol in kinds if kind == "U"}
    assert needed <= NEEDED | {"_GLOBAL_OFFSET_TABLE_"}, needed - NEEDED


def flags_of(name):
    """Return the compiler options that CMakeLists.txt gives this set, and those it gives all."""
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    found = re.search(rf"add_instruction_set\({name}\b(.*?)\)", text)
    assert found is not None, f"CMakeLists.txt compiles no {name}"
    common = re.search(r"add_compile_options\((.*?)\)", text)
    assert common is not None
    return [flag for flag in (common[1] + found[1]).split() if not flag.startswith("-O")]


def main():
    from softmaxlib import _kernels

    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert compiler, "the kernels cannot be built without a C++ compiler"
    names = [name for name, _, _ in _kernels.configuration()["instruction_sets"]]
    with tempfile.TemporaryDirectory() as folder:
        for kind, name in [(kind, name) for kind in KINDS for name in names]:
            target, table = Path(folder, f"{kind}_{name}.o"), f"softmaxlib_{kind}_{name}"
            command = [
                compiler,
                "-std=c++17",
                "-O0",
                "-w",
                "-c",
                str(ROOT / "cpp" / f"{kind}.cpp"),
                "-o",
                str(target),
            ]
            command += [f'-DSOFTMAXLIB_LANES="lanes/{name}.h"', f"-DSOFTMAXLIB_TABLE={table}"]
            command += ["-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", *flags_of(name)]
            subprocess.run(command, check=True)
            check_symbols(target, table)
            print(f"{kind}, {name}: {table} alone is exported")


if __name__ == "__main__":
    main()
