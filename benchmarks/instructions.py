"""Instructions and time of the kernels on ordinary rows, of one build or of several side by side.

``python benchmarks/instructions.py [DRIVER...]``: each DRIVER is a program that ``scripts/driver`` built, the
first one what the others are compared with; without any, this checkout's. To compare two commits, build
the driver in a clone of each. Instructions are counted by Valgrind (which doesn't know AVX-512: AVX2 is
used), and are the same in each run; times are the least of many calls on the best instruction set, in turns.
"""

import argparse
import os
import re
import subprocess
from pathlib import Path

from _processor import processor

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("drivers", nargs="*", help="the first is the baseline")
    options.add_argument("--only", default="", help="cases whose name contains this")
    options.add_argument("--no-time", action="store_true")
    options.add_argument("--no-count", action="store_true")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--isa", default="", help="the instruction set that is timed")
    given = options.parse_args()
    drivers = given.drivers or [built()]
    names = output([drivers[0], "cases"]).splitlines()
    print(processor())
    print(f"{'':46} {'instructions':>13} {'to the first':>{9 * (len(drivers) - 1)}}   ns")
    for name in (name for name in names if given.only in name):
        counts = [] if given.no_count else [instructions(driver, name) for driver in drivers]
        times = [] if given.no_time else least_times(drivers, name, given.rounds, given.isa)
        print(f"{name:46} {table(counts, '13.0f')}   {table(times, '11.1f')}", flush=True)


def table(figures: list[float], form: str) -> str:
    """The first figure, and the ratios of the others to it."""
    return " ".join(
        [f"{figure:{form}}" for figure in figures[:1]]
        + [f"{figure / figures[0]:8.4f}" for figure in figures[1:]]
    )


def built() -> str:
    return str(ROOT / output([str(ROOT / "scripts" / "driver"), "driver"]).strip())


def output(command: list[str], **environment: str) -> str:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def instructions(driver: str, name: str) -> float:
    """Count the instructions of one call, from four additional ones: start and first call don't count."""
    few, more = (counted(driver, name, times) for times in (1, 5))
    return (more - few) / 4


def counted(driver: str, name: str, times: int) -> int:
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        driver,
        "run",
        name,
        str(times),
    ]
    done = subprocess.run(
        command, env=os.environ | {"SOFTMAXLIB_ISA": "avx2"}, capture_output=True, text=True
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return int(found.group(1))


def least_times(drivers: list[str], name: str, rounds: int, isa: str) -> list[float]:
    least = [float("inf")] * len(drivers)
    for _ in range(rounds):
        for place, driver in enumerate(drivers):
            least[place] = min(least[place], float(output([driver, "run", name, "0"], SOFTMAXLIB_ISA=isa)))
    return least


if __name__ == "__main__":
    main()
