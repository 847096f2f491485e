"""A hash of many results on each instruction set of this machine: a program, since it takes minutes.

python tests/kernels/whole_hash.py
"""

import os
import subprocess

from fuzz import build_driver


def hashes(driver, *mode):
    """Return the lines that the driver prints on each instruction set of this machine."""
    names = subprocess.run([driver, "list"], check=True, capture_output=True, text=True).stdout.split()
    found = {}
    for name in names:
        command = [driver, "hash", *mode]
        done = subprocess.run(
            command, env=os.environ | {"SOFTMAXLIB_ISA": name}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{name}: {done.stdout}"
        found[name] = done.stdout.splitlines()
    return found


def main():
    found = hashes(build_driver())
    (first, expected), *others = found.items()
    for name, lines in others:
        pairs = zip(expected, lines, strict=True)
        if differing := [f"{one}, {other}" for one, other in pairs if one != other]:
            raise SystemExit("\n".join([f"{first} and {name} differ:", *differing]))
    print(f"{len(expected)} hashes are the same on {', '.join(found)}")


if __name__ == "__main__":
    main()
