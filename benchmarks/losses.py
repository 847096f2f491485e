"""Cross-entropy against PyTorch, forward and gradient.

    PYTHONPATH=src python benchmarks/losses.py [--threads N] [--repeats N]

Every time is the least of several, all in one run on the same threads; the ratio is the peer's time to ours.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import softmaxlib

SHAPES = [(4096, 32000), (65536, 1000), (1_000_000, 10), (128, 1000)]


def least(function: Callable[[], object], repeats: int) -> float:
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def row(name: str, ours: float, theirs: float) -> None:
    print(f"{name:44s} {ours:10.2f} {theirs:10.2f} {theirs / ours:8.2f}", flush=True)


def cross_entropy(rows: int, classes: int, repeats: int) -> None:
    logits = np.random.default_rng(0).standard_normal((rows, classes), dtype=np.float32) * 3
    label = np.random.default_rng(1).integers(0, classes, rows)
    leaf, target = torch.from_numpy(logits).requires_grad_(True), torch.from_numpy(label)
    out = np.empty_like(logits)

    def forward() -> None:
        with torch.no_grad():
            torch.nn.functional.cross_entropy(leaf, target)

    def backward(**options: float) -> None:
        leaf.grad = None
        torch.nn.functional.cross_entropy(leaf, target, **options).backward()

    shape = f"({rows},{classes})"
    row(
        f"loss {shape}",
        least(lambda: softmaxlib.cross_entropy(logits, label), repeats),
        least(forward, repeats),
    )
    ours = least(lambda: softmaxlib.cross_entropy_grad(logits, label, out=out), repeats)
    row(f"loss and gradient {shape}", ours, least(backward, repeats))
    ours = least(lambda: softmaxlib.cross_entropy_grad(logits, label, label_smoothing=0.1, out=out), repeats)
    row(f"the same, smoothed {shape}", ours, least(lambda: backward(label_smoothing=0.1), repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    header = f"milliseconds, {arguments.threads} threads"
    print(f"{header:44s} {'ours':>10s} {'torch':>10s} {'ratio':>8s}")
    with threadpool_limits(arguments.threads):
        for rows, classes in SHAPES:
            cross_entropy(rows, classes, arguments.repeats)


if __name__ == "__main__":
    main()
