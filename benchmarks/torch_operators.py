"""The PyTorch operators on the CPU against PyTorch's own: forward, and forward with backward.

    python benchmarks/torch_operators.py [--threads N] [--large]

Prints the least time of many runs for each, and the ratio (above 1: ours is faster); with --large also the
linear loss, each in a process of its own, with the most memory that it took. Run it on a quiet machine; the
first lines show what one call costs beyond its work.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import softmaxlib
import softmaxlib.torch as ours

SHAPES = [(1, 10), (32, 10), (1, 1000), (128, 1000), (1024, 1024), (100_000, 10)]
LARGE = [(1_000_000, 10), (2048, 32_000), (256, 128_256), (1, 128_256), (1, 50_000_000)]
OTHER_TYPES = [torch.float16, torch.bfloat16, torch.float64]
OTHER_TYPES_SHAPES = [(32, 10), (1024, 1024), (2048, 32_000)]
COLUMNS = (32_000, 2048)  # with the classes along dimension 0


def least(function, seconds=0.3):
    """The least time of a call, in microseconds."""
    function()
    best, spent = float("inf"), 0.0
    while spent < seconds:
        start = time.perf_counter()
        function()
        once = time.perf_counter() - start
        best, spent = min(best, once), spent + once
    return best * 1e6


def with_backward(function, x, *rest):
    """A call that also asks for the gradient of what would be a loss."""
    leaf = x.clone().requires_grad_()
    upstream = torch.rand_like(function(x, *rest))

    def call():
        torch.autograd.grad(function(leaf, *rest), leaf, upstream)

    return call


def row(name, x, mine, theirs):
    place = f"{str(x.dtype)[6:]} {tuple(x.shape)}"
    print(f"{name:30} {place:26} {mine:12.1f} {theirs:12.1f} {theirs / mine:8.2f}", flush=True)


def both(name, x, mine, theirs, *rest):
    """Two rows: forward, and forward with backward."""
    row(name, x, least(lambda: mine(x, *rest)), least(lambda: theirs(x, *rest)))
    row(f"{name} + backward", x, least(with_backward(mine, x, *rest)), least(with_backward(theirs, x, *rest)))


def functions(x, dim=-1):
    label = f", dim={dim}" if dim != -1 else ""
    both(f"softmax{label}", x, ours.softmax, torch.softmax, dim)
    both(f"log_softmax{label}", x, ours.log_softmax, torch.log_softmax, dim)
    both(f"logsumexp{label}", x, ours.logsumexp, torch.logsumexp, dim)
    if dim == -1:
        target = torch.randint(x.shape[1], x.shape[:1])
        both("cross_entropy", x, ours.cross_entropy, F.cross_entropy, target)


def cases(large):
    """Every shape and type that is timed, with the dimension of the classes."""
    for shape in SHAPES + (LARGE if large else []):
        yield shape, torch.float32, -1
    if large:
        yield COLUMNS, torch.float32, 0
    for dtype in OTHER_TYPES:
        for shape in OTHER_TYPES_SHAPES[: None if large else 2]:
            yield shape, dtype, -1


ROWS, FEATURES, CLASSES = 2048, 512, 32_000


def linear_losses(x, weight, target):
    """The loss of a linear layer, ours first, then the peers."""
    calls = {
        "linear_cross_entropy": lambda: ours.linear_cross_entropy(x, weight, target),
        "nn.Linear + cross_entropy": lambda: F.cross_entropy(F.linear(x, weight), target),
    }
    if hasattr(F, "linear_cross_entropy"):
        chunked = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=256)
        calls["torch linear_cross_entropy"] = lambda: F.linear_cross_entropy(x, weight, target)
        calls["torch linear_cross_entropy chunked"] = lambda: F.linear_cross_entropy(
            x, weight, target, options=chunked
        )
    return calls


def linear_problem():
    torch.manual_seed(0)
    x = torch.randn(ROWS, FEATURES, requires_grad=True)
    weight = (torch.randn(CLASSES, FEATURES) / FEATURES**0.5).requires_grad_()
    return x, weight, torch.randint(CLASSES, (ROWS,))


def peak_memory():
    """The most memory the process has held, in MiB (getrusage would count what its parent held before it)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure_linear(name):
    """Milliseconds of loss and gradients, and the memory beyond inputs and gradients, in this process."""
    x, weight, target = linear_problem()
    loss = linear_losses(x, weight, target)[name]
    before = peak_memory()
    taken = least(lambda: torch.autograd.grad(loss(), (x, weight)), 4) / 1000
    own = (x.numel() + weight.numel()) * 4 / 2**20
    print(f"{taken:.0f} {peak_memory() - before - own:.0f}")


def linear():
    print(f"{'loss and gradients of a linear layer':42} {'ms':>8} {'MiB beyond gradients':>22}")
    for name in linear_losses(*linear_problem()):
        command = [sys.executable, __file__, "--only-linear", name, "--threads", str(torch.get_num_threads())]
        taken, memory = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        print(f"{name:42} {taken:>8} {memory:>22}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--large", action="store_true", help="the long shapes and the linear loss too")
    parser.add_argument("--case", type=int, metavar="N", help="the Nth of the tensors alone, from 0")
    parser.add_argument("--only-linear", metavar="NAME", help="one linear loss, in this process")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only_linear:
        return measure_linear(options.only_linear)
    x = torch.randn(10)
    array = x.numpy()
    through, bare = least(lambda: ours.softmax(x)), least(lambda: softmaxlib.softmax(array))
    print(f"torch {torch.__version__}, numpy {np.__version__}, {options.threads} threads; microseconds")
    print(
        f"softmax of ten numbers: {through:.2f} as a tensor, {bare:.2f} as an array; "
        f"dispatch {through - bare:.2f}"
    )
    ours.show_config()
    print(f"{'':30} {'tensor':26} {'ours':>12} {'torch':>12} {'ratio':>8}")
    for number, (shape, dtype, dim) in enumerate(cases(options.large)):
        if options.case in (None, number):
            functions(torch.randn(shape).to(dtype), dim)
    if options.large and options.case is None:
        linear()


if __name__ == "__main__":
    main()
