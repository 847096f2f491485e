"""The functions for a GPU: correctness beside the CPU kernels, then time beside a copy and peers.

softmax, log_softmax, logsumexp, sparsemax and entmax must have the bits of the CPU kernels, and draws its
tokens; losses and gradients keep their bounds. Needs a CUDA device. Correctness comes first, by several
processes, which compile the kernels. After that, each part is timed in a process of its own.

A part that fails or hangs is reported, and the next one begins. ``--seconds N`` bounds the first part,
``--minutes N`` the whole: what is left then is skipped, and said. What is printed goes to ``--file`` too.
"""

import argparse
import functools
import itertools
import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import gpu_activations
import gpu_elements
import gpu_losses
import gpu_sampling
import gpu_simplex
import torch
import triton
from _gpu_times import poison

import softmaxlib.torch as ours
from softmaxlib.torch._triton import launch

WORKERS = 15
MODULES: dict[str, Any] = {
    "activations": gpu_activations,
    "losses": gpu_losses,
    "sampling": gpu_sampling,
    "elements": gpu_elements,
    "simplex": gpu_simplex,
}


PARTS: dict[str, tuple[str, Callable[[], dict[str, Callable[[int], str]]]]] = {
    "times of losses": (gpu_losses.LOSSES_HEADER, gpu_losses.timings_of_losses),
    "times of sampling": (gpu_sampling.HEADER, gpu_sampling.timings),
    "times of linear_cross_entropy": (gpu_losses.LINEAR_HEADER, gpu_losses.timings_of_linear),
    "times of softmax": (gpu_activations.HEADER, gpu_activations.timings),
    "times of sparsemax and entmax": (gpu_simplex.HEADER, gpu_simplex.timings),
    "times of binary losses and temperatures": (gpu_elements.HEADER, gpu_elements.timings),
}
ROUNDS = 8


@functools.cache
def checks_of(module: str) -> dict[str, Callable[[], list[str]]]:
    """Return the checks of a module by name."""
    return MODULES[module].checks()


def run_check(which: tuple[str, str]) -> tuple[str, str, float, list[str]]:
    """Run a check in a process of many, or warm up a part, and return how long it took and what is wrong."""
    module, name = which
    start = time.monotonic()
    try:
        if module in PARTS:
            PARTS[module][1]()[name](1)
            wrong = []
        else:
            poison()
            wrong = checks_of(module)[name]()
    except Exception as error:
        wrong = [f"{name}: {type(error).__name__}: {str(error)[:300]}"]
    torch.cuda.empty_cache()  # the processes share the memory of the device
    return module, name, time.monotonic() - start, wrong


def check(seconds: float) -> str:
    """Let several processes compile what is timed, and check. Return the outcome."""
    all_names = {part: list(timings()) for part, (_, timings) in PARTS.items()}
    warm_ups = [(part, name) for part, names in all_names.items() for name in names]
    all_names |= {module: list(checks_of(module)) for module in MODULES}
    in_turns = itertools.zip_longest(*([(module, name) for name in all_names[module]] for module in MODULES))
    which = warm_ups + [one for turn in in_turns for one in turn if one is not None]
    until, done, wrong = time.monotonic() + seconds, dict.fromkeys(all_names, 0), list[str]()
    longest: list[tuple[float, str]] = []
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        results = pool.imap_unordered(run_check, which)
        for _ in which:
            try:
                module, name, took, found = results.next(timeout=max(0.1, until - time.monotonic()))
            except multiprocessing.TimeoutError:
                break
            done[module] += 1
            wrong += found
            longest = sorted([*longest, (took, name)])[-5:]
    for module, number in done.items():
        print(f"{module}: {number} of {len(all_names[module])} {'compiled' if module in PARTS else 'checks'}")
    print("longest: " + ", ".join(f"{name} {took:.0f} s" for took, name in longest))
    print("\n".join([f"{len(wrong)} wrong", *wrong[:30]]))
    if wrong:
        return "WRONG"
    return "done" if sum(done.values()) == len(which) else "right as far as there was time"


class Both:
    """Writes what is printed to a file too, line by line: a run that is cut off leaves what it found."""

    def __init__(self, screen: TextIO, file: TextIO) -> None:
        self.screen, self.file = screen, file

    def write(self, text: str) -> None:
        """Write to both."""
        self.screen.write(text)
        self.file.write(text)
        self.file.flush()

    def flush(self) -> None:
        """Flush the screen; the file is already."""
        self.screen.flush()


def run_timings(part: str) -> int:
    """Print the lines of a part, whatever becomes of those before, and return whether all are there."""
    header, timings = PARTS[part]
    print(header, flush=True)
    failed = 0
    for name, line in timings().items():
        try:
            print(line(ROUNDS), flush=True)
        except Exception as error:
            failed = 1
            print(f"  {name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
    return failed


def run_part(name: str, seconds: float) -> str:
    """Run a part in a process of its own, which can fail alone, and return what became of it."""
    command = [sys.executable, "-u", __file__, "--part", name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stop = threading.Timer(seconds, process.kill)
    stop.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="")
    code = process.wait()
    late = not stop.is_alive()
    stop.cancel()
    return "done" if code == 0 else "stopped: no time left" if late else f"FAILED ({code})"


def run_all(seconds: float, until: float) -> dict[str, str]:
    """Run each part, whatever became of those before, and return what became of it."""
    start = time.monotonic()
    outcomes = {"correctness": check(seconds)}
    print(f"-- correctness: {outcomes['correctness']} in {time.monotonic() - start:.0f} s", flush=True)
    outcomes["more than 2^31 elements"] = "done" if gpu_activations.check_large() else "WRONG"
    for name in PARTS:
        start = time.monotonic()
        outcomes[name] = "skipped: no time left" if start > until else run_part(name, until - start)
        print(f"-- {name}: {outcomes[name]} in {time.monotonic() - start:.0f} s", flush=True)
    return outcomes


def main() -> int:
    """Check, then time."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", help=argparse.SUPPRESS)
    options.add_argument("--seconds", type=float, default=90)
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--file", type=Path)
    given = options.parse_args()
    if not torch.cuda.is_available():
        print("this needs a CUDA device; PyTorch sees none here", file=sys.stderr)
        return 2
    if given.part is not None:
        return run_timings(given.part)
    until = time.monotonic() + 60 * given.minutes
    if given.file is not None:
        given.file.parent.mkdir(parents=True, exist_ok=True)
        sys.stdout = Both(sys.stdout, given.file.open("w", encoding="utf-8"))
    assert set(gpu_activations.DTYPES) == set(launch.DTYPES)
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, Triton {triton.__version__}")
    ours.show_config()
    outcomes = run_all(given.seconds, until)
    print("\n".join(f"{name}: {outcome}" for name, outcome in outcomes.items()))
    return 0 if all(outcome == "done" for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
