"""The loss of a linear layer with very many classes, and all its gradients: time and memory against PyTorch.

    PYTHONPATH=src python benchmarks/linear_head.py [--threads N] [--repeats N]

Each way runs in a process of its own, since thread pools disturb one another. Memory is the process's peak
(Linux) less what it held before and less the gradients. The first rows are the three matrix products alone,
the least that any way has to do: what the BLAS of NumPy and that of PyTorch make of this machine.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TOKENS, FEATURES, CLASSES = 2048, 512, 32000
OPERATIONS = 3 * 2 * TOKENS * FEATURES * CLASSES
GRADIENTS = 4 * FEATURES * (TOKENS + CLASSES)

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def arrays() -> Arrays:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((TOKENS, FEATURES), dtype=np.float32)
    weight = rng.standard_normal((CLASSES, FEATURES), dtype=np.float32) / 16
    return features, weight, rng.integers(0, CLASSES, TOKENS)


def numpy_products(threads: int, features: np.ndarray, weight: np.ndarray, label: np.ndarray) -> Any:
    logits = np.empty((TOKENS, CLASSES), np.float32)

    def call() -> None:
        np.matmul(features, weight.T, out=logits)
        np.matmul(logits, weight)
        np.matmul(logits.T, features)

    return call


def torch_products(threads: int, features: np.ndarray, weight: np.ndarray, label: np.ndarray) -> Any:
    torch, leaves, _ = torch_arrays(threads, features, weight, label)
    logits = torch.empty((TOKENS, CLASSES))

    def call() -> None:
        with torch.no_grad():
            torch.mm(leaves[0], leaves[1].T, out=logits)
            torch.mm(logits, leaves[1])
            torch.mm(logits.T, leaves[0])

    return call


def ours(threads: int, features: np.ndarray, weight: np.ndarray, label: np.ndarray) -> Any:
    import softmaxlib

    return lambda: softmaxlib.linear_cross_entropy_grad(features, weight, label)


def torch_whole(threads: int, features: np.ndarray, weight: np.ndarray, label: np.ndarray) -> Any:
    torch, leaves, target = torch_arrays(threads, features, weight, label)

    def call() -> Any:
        logits = torch.nn.functional.linear(leaves[0], leaves[1])
        return torch.autograd.grad(torch.nn.functional.cross_entropy(logits, target), leaves)

    return call


def torch_chunked(threads: int, features: np.ndarray, weight: np.ndarray, label: np.ndarray) -> Any:
    torch, leaves, target = torch_arrays(threads, features, weight, label)
    options = torch.nn.LinearCrossEntropyOptions()

    def call() -> Any:
        loss = torch.nn.functional.linear_cross_entropy(leaves[0], leaves[1], target, options=options)
        return torch.autograd.grad(loss, leaves)

    return call


def torch_arrays(threads: int, features: np.ndarray, weight: np.ndarray, label: np.ndarray) -> Any:
    import torch

    torch.set_num_threads(threads)
    leaves = [torch.from_numpy(array).requires_grad_(True) for array in (features, weight)]
    return torch, leaves, torch.from_numpy(label)


WAYS: dict[str, Callable[..., Any]] = {
    "three products, NumPy": numpy_products,
    "three products, torch": torch_products,
    "softmaxlib.linear_cross_entropy_grad": ours,
    "torch linear, cross_entropy, backward": torch_whole,
    "torch linear_cross_entropy, chunked": torch_chunked,
}


def kilobytes(entry: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(entry))


def measure(way: str, threads: int, repeats: int) -> dict[str, float]:
    """Seconds of the fastest call, and MiB of the first beyond inputs and gradients."""
    features, weight, label = arrays()
    few = (features[:64].copy(), weight, label[:64])  # wakes threads, loads what is loaded late
    if "products" not in way:
        WAYS[way](threads, *few)()
    call = WAYS[way](threads, features, weight, label)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = kilobytes("VmRSS")
    call()
    extra = (kilobytes("VmHWM") - before) / 1024 - GRADIENTS / 2**20
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "extra": extra}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--way", choices=WAYS, help="measure this one in the process itself, print JSON")
    arguments = parser.parse_args()
    if arguments.way:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(arguments.threads):
            print(json.dumps(measure(arguments.way, arguments.threads, arguments.repeats)))
        return
    print(f"{TOKENS} tokens x {FEATURES} features x {CLASSES} classes, float32, {arguments.threads} threads")
    print(f"{'':40s} {'seconds':>8s} {'GFLOP/s':>8s} {'extra MiB':>10s} {'ratio':>6s}")
    results = {way: in_its_own_process(way, arguments) for way in WAYS}
    own = results["softmaxlib.linear_cross_entropy_grad"]["seconds"]
    for way, result in results.items():
        rate, extra = OPERATIONS / result["seconds"] / 1e9, f"{result['extra']:10.1f}"
        extra = " " * 10 if "products" in way else extra
        print(f"{way:40s} {result['seconds']:8.3f} {rate:8.0f} {extra} {result['seconds'] / own:6.2f}")


def in_its_own_process(way: str, arguments: argparse.Namespace) -> dict[str, float]:
    options = ["--way", way, "--threads", str(arguments.threads), "--repeats", str(arguments.repeats)]
    result = subprocess.run(
        [sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(result.stdout)


if __name__ == "__main__":
    main()
