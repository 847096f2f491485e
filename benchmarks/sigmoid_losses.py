"""Cross-entropy of binary logits and its gradient, beside PyTorch's, on the same threads."""

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from _processor import processor

import softmaxlib

torch.set_num_threads(len(os.sched_getaffinity(0)))


def shortest(call: Callable[[], object], seconds: float = 1.0) -> float:
    """The shortest of many calls, in nanoseconds an element of the last one."""
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    theirs = torch.nn.functional.binary_cross_entropy_with_logits
    print(processor())
    print(f"{'shape':>14} {'dtype':>8} {'call':>10}   ours  PyTorch  (ns an element)")
    for shape in ((10_000,), (10_000, 20), (1_000_000,), (100_000, 80)):
        for dtype in (np.float32, np.float64):
            generator = np.random.default_rng(0)
            x = (3 * generator.normal(size=shape)).astype(dtype)
            y = (generator.random(shape) > 0.5).astype(dtype)
            tensor, target, out = torch.tensor(x), torch.tensor(y), np.empty_like(x)
            leaf = tensor.clone().requires_grad_()
            calls = {
                "loss": (
                    lambda x=x, y=y: softmaxlib.sigmoid_cross_entropy(x, y),
                    lambda x=tensor, y=target: theirs(x, y),
                ),
                "gradient": (
                    lambda x=x, y=y, out=out: softmaxlib.sigmoid_cross_entropy_grad(x, y, out=out),
                    lambda x=leaf, y=target: torch.autograd.grad(theirs(x, y), x),
                ),
            }
            for name, pair in calls.items():
                ours, other = (shortest(call) / x.size * 1e9 for call in pair)
                print(f"{shape!s:>14} {x.dtype.name:>8} {name:>10} {ours:6.2f} {other:8.2f}")


if __name__ == "__main__":
    main()
