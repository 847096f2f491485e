"""softmax, log_softmax and logsumexp against NumPy, SciPy, PyTorch, jitted JAX and ONNX Runtime.

Each library runs in a process of its own (thread pools disturb one another), on the same threads and the
same input. They take short turns, ``--rounds`` each, so that all of them meet the fast and the slow moments
of a shared machine; the table shows the least time of each and the ratio of the best peer to ours: more than
1 is faster than all of them. *copy* is the faster of ``numpy.copyto`` and ``torch.Tensor.copy_``, on the same
threads. ``--svg FILE`` draws the ratios, ``--threads N`` sets the threads.

``--classes`` times softmax of the same number of elements in rows of 2 to 1,000,000 classes instead, where
``--svg FILE`` draws nanoseconds an element. ``--sigmoids`` times sigmoid and log_sigmoid.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from _processor import caches, processor
from _softmax_peers import Case, prepare

SHAPES = [
    (1, 10),
    (32, 10),
    (1, 1000),
    (128, 1000),
    (1024, 1024),
    (100_000, 10),
    (1_000_000, 10),
    (2048, 32_000),
    (256, 128_256),
    (1, 128_256),
    (1, 50_000_000),
]
CASES = [("softmax", "float32", shape, -1) for shape in SHAPES]
CASES += [("softmax", "float32", (32_000, 2048), 0)]
CASES += [("log_softmax", "float32", shape, -1) for shape in [(128, 1000), (1024, 1024), (2048, 32_000)]]
CASES += [
    ("softmax", kind, shape, -1)
    for kind in ("float16", "bfloat16")
    for shape in [(1024, 1024), (2048, 32_000)]
]
CASES += [("softmax", "float64", (1024, 1024), -1)]
CASES += [("logsumexp", "float32", shape, -1) for shape in [(1024, 1024), (2048, 32_000)]]
PEERS = ["softmaxlib", "numpy", "scipy", "torch", "jax", "onnxruntime", "copy"]
ELEMENTS = 1 << 22  # of each case of --classes
LENGTHS = [2, 3, 4, 6, 8, 10, 16, 24, 32, 48, 64, 65, 100, 128, 200, 256, 320, 448, 449, 512, 768, 1000]
LENGTHS += [1500, 2048, 3000, 4096, 4097, 6000, 8192, 16_384, 32_000, 65_536, 128_256, 300_000, 1_000_000]
CASES_BY_CLASSES = [("softmax", "float32", (ELEMENTS // n, n), -1) for n in LENGTHS]
CASES_OF_SIGMOIDS: list[Case] = [
    (function, kind, shape, -1)
    for function in ("sigmoid", "log_sigmoid")
    for kind in ("float32", "float64", "float16")
    for shape in [(10,), (10_000,), (1024, 1024), (20_000_000,)]
]
TURN = 0.15  # seconds

Result = tuple[Case, dict[str, dict[str, float]]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--peer", help=argparse.SUPPRESS)
    options.add_argument("--case", type=int, help=argparse.SUPPRESS)
    options.add_argument("--classes", action="store_true", help="rows of 2 to 1,000,000 classes")
    options.add_argument("--sigmoids", action="store_true", help="sigmoid and log_sigmoid")
    options.add_argument("--only", help="cases whose name contains this")
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--svg")
    given = options.parse_args()
    cases = CASES_BY_CLASSES if given.classes else CASES_OF_SIGMOIDS if given.sigmoids else CASES
    chosen = ["--classes"] * given.classes + ["--sigmoids"] * given.sigmoids
    if given.peer:
        answer(given.peer, cases[given.case], given.threads)
        return
    results = []
    versions: dict[str, str] = {}
    print(f"{processor()}; caches {caches()}; {given.threads} threads")
    print(f"{'case':44} {'ours us':>11} {'out=':>11} {'copy':>9}   best peer fresh      best peer out=")
    for index, case in enumerate(cases):
        if given.only and given.only not in name_of(case):
            continue
        with contextlib.ExitStack() as stack:
            peers = {peer: stack.enter_context(Peer(peer, index, given.threads, chosen)) for peer in PEERS}
            for _ in range(given.rounds):
                for peer in peers.values():
                    peer.turn()
        versions.update({name: peer.version for name, peer in peers.items() if peer.version})
        times = {name: peer.times for name, peer in peers.items()}
        results.append((case, times))
        print(row(name_of(case), times), flush=True)
    print(", ".join(f"{peer} {version}" for peer, version in versions.items()))
    print("least of the runs; ratios are best peer / softmaxlib")
    summarize(results)
    if given.classes:
        tell_steps(results)
    if given.svg:
        (draw_by_classes if given.classes else draw)(results, given.svg)


def summarize(results: list[Result]) -> None:
    """Print the mean ratio of the softmaxes of float32."""
    of_softmax = [times for case, times in results if case[:2] == ("softmax", "float32")]
    for kind in ("fresh", "out"):
        found = [ratios(times)[kind][0] for times in of_softmax]
        if found:
            mean = np.exp(np.mean(np.log(found)))
            print(f"softmax float32, {kind}: geometric mean {mean:.2f} of {len(found)} cases")


def tell_steps(results: list[Result]) -> None:
    """Print where the time of an element changes most from one length to the next."""
    per_element = [times["softmaxlib"]["out"] / (case[2][0] * case[2][1]) for case, times in results]
    pairs = zip(results, results[1:], per_element, per_element[1:], strict=False)
    steps = [(max(a / b, b / a), first[0][2][1], second[0][2][1]) for first, second, a, b in pairs]
    for size, first, second in sorted(steps, reverse=True)[:5]:
        print(f"from {first} to {second} classes: {size:.2f} times")


def name_of(case: Case) -> str:
    function, dtype, shape, axis = case
    return f"{function} {dtype} {'x'.join(map(str, shape))}" + (" axis 0" if axis == 0 else "")


class Peer:
    """One library at work on one case, in a process of its own that waits for its turns.

    ``times`` holds the least seconds of each kind of call; it stays empty where the library has none.
    """

    def __init__(self, name: str, case: int, threads: int, chosen: list[str]) -> None:
        count = str(threads)
        pools = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"], count)
        command = [sys.executable, __file__, "--peer", name, "--case", str(case), "--threads", count]
        command += chosen
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **pools},
        )
        ready = self.read()
        self.version: str = ready.get("version", "")
        self.times: dict[str, float] = dict.fromkeys(ready.get("kinds", []), np.inf)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.process.communicate()

    def read(self) -> dict:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):  # libraries may print what they like
                return json.loads(line)
        return {}

    def turn(self) -> None:
        assert self.process.stdin
        for kind, least in self.times.items():
            print(kind, file=self.process.stdin, flush=True)
            self.times[kind] = min(least, self.read()["seconds"])


def answer(peer: str, case: Case, threads: int) -> None:
    """Time the kinds of call that the standard input names, line by line."""
    version, calls = prepare(peer, case, threads)
    for call in calls.values():
        call()
    print(json.dumps({"version": version, "kinds": list(calls)}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"seconds": least(calls[line.strip()])}), flush=True)


def ratios(times: dict) -> dict[str, tuple[float, str]]:
    """Best peer over ours, for a fresh output and for one that is given."""
    best = {}
    for kind in ("fresh", "out"):
        if kind not in times["softmaxlib"]:
            continue
        theirs = {p: t for p, t in times.items() if p not in ("softmaxlib", "copy")}
        # A peer that cannot write into an array of the caller's competes with what it can do.
        found = {p: min(t.get(kind, np.inf), t.get("fresh", np.inf)) for p, t in theirs.items()}
        found = {p: t for p, t in found.items() if np.isfinite(t)}
        if kind == "fresh":
            found = {p: t["fresh"] for p, t in theirs.items() if "fresh" in t}
        peer = min(found, key=found.__getitem__)
        best[kind] = (found[peer] / times["softmaxlib"][kind], peer)
    return best


def row(name: str, times: dict) -> str:
    ours, copied, best = times["softmaxlib"], times["copy"], ratios(times)
    cells = [f"{best[k][0]:6.2f} {best[k][1]:12}" if k in best else " " * 19 for k in ("fresh", "out")]
    out = f"{ours['out'] * 1e6:11.2f}" if "out" in ours else " " * 11
    line = (
        f"{name:44} {ours['fresh'] * 1e6:11.2f} {out} {min(copied.values()) * 1e6:9.2f}   {'  '.join(cells)}"
    )
    missing = [peer for peer, timed in times.items() if not timed]
    return f"{line}  without {', '.join(missing)}" if missing else line


def least(call: Callable[[], object]) -> float:
    call()
    best, until = np.inf, time.perf_counter() + TURN
    while best == np.inf or time.perf_counter() < until:
        start = time.perf_counter_ns()
        call()
        best = min(best, time.perf_counter_ns() - start)
    return best * 1e-9


def pyplot() -> Any:
    """Return the plotting functions, for pictures that are the same each time."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "softmaxlib"
    from matplotlib import pyplot as plt

    return plt


def draw_by_classes(results: list[Result], path: str) -> None:
    """Draw the nanoseconds of an element over the number of classes."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    lengths = [case[2][1] for case, _ in results]
    for peer in PEERS:
        times = [min(times[peer].values(), default=np.nan) for _, times in results]
        nanoseconds = [
            1e9 * time / (case[2][0] * case[2][1]) for time, (case, _) in zip(times, results, strict=True)
        ]
        own = peer == "softmaxlib"
        style = {"color": "#888", "linestyle": ":"} if peer == "copy" else {}
        axes.plot(
            lengths, nanoseconds, label=peer, linewidth=2.5 if own else 1.2, zorder=3 if own else 2, **style
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"classes in a row, of {ELEMENTS:,} float32 elements in all")
    axes.set_ylabel("ns per element")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def draw(results: list[Result], path: str) -> None:
    """Draw the ratios of each case."""
    plt = pyplot()
    names = [name_of(case) for case, _ in results]
    figure, axes = plt.subplots(figsize=(8, 0.36 * len(names) + 1), layout="constrained")
    places = np.arange(len(names))[::-1]
    for kind, shift, colour in (("fresh", 0.18, "#2b6cb0"), ("out", -0.18, "#90cdf4")):
        label = "fresh output" if kind == "fresh" else "out="
        values = [ratios(times)[kind][0] for _, times in results]
        axes.barh(places + shift, np.subtract(values, 1), 0.34, left=1, color=colour, label=label)
        for place, value in zip(places, values, strict=True):
            axes.text(max(value, 1) * 1.03, place + shift, f"{value:.1f}", va="center", fontsize=7)
    axes.axvline(1, color="#444", linewidth=1)
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 4, 8, 16]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(min(0.8, axes.get_xlim()[0]), 1.15 * axes.get_xlim()[1])
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlabel("times as fast as the best of NumPy, SciPy, PyTorch, JAX, ONNX Runtime")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
