"""Random rows through the kernels' C++ driver: as a program, for as long as it is told to.

python tests/kernels/fuzz.py MILLIONS [SEED]
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build_driver():
    """Return the path of the driver that was built with the module; build it if it is missing."""
    run = subprocess.run([ROOT / "scripts" / "driver"], capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    return ROOT / run.stdout.strip()


def fuzz(driver, rows, seed, processes=2):
    """The largest errors {(function, dtype): (normal, subnormal)} and the number of rows not judged."""
    running = [
        subprocess.Popen(
            [driver, "fuzz", str(rows // processes), str(seed + k)], stdout=subprocess.PIPE, text=True
        )
        for k in range(processes)
    ]
    worst, skipped = {}, 0
    for process in running:
        out, _ = process.communicate()
        assert process.returncode == 0, f"the driver ended with {process.returncode}"
        *lines, last = out.splitlines()
        for function, dtype, normal, subnormal in map(str.split, lines):
            old = worst.get((function, dtype), (0.0, 0.0))
            worst[function, dtype] = (max(old[0], float(normal)), max(old[1], float(subnormal)))
        skipped += int(last.split()[3])
    return worst, skipped


def beyond_bounds(worst):
    """Return the cases that exceed their stated bound."""
    from softmaxlib._accuracy import bound

    found = []
    for (function, dtype), (normal, subnormal) in worst.items():
        stated = bound(function, dtype)
        if not (normal <= stated.ulp and subnormal <= stated.subnormal_ulp):
            found.append(f"{function} {dtype}: {normal} ULP, {subnormal} where subnormal")
    return found


def main():
    rows = int(float(sys.argv[1]) * 1e6)
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int.from_bytes(os.urandom(4), "little")
    worst, skipped = fuzz(build_driver(), rows, seed, processes=os.cpu_count() or 1)
    print(f"{rows:,} rows from seed {seed}, {skipped:,} not judged")
    for (function, dtype), (normal, subnormal) in sorted(worst.items()):
        print(f"{function:12} {dtype:9} {normal:7.4f} ULP, subnormal {subnormal:7.4f}")
    if found := beyond_bounds(worst):
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
