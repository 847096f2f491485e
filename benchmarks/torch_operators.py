"""The PyTorch operators on the CPU against PyTorch's own: forward, and forward with backward.

    python benchmarks/torch_operators.py [--threads N] [--large]

Prints the least time of many runs for each, and the ratio (above 1: ours is faster). Run it on a quiet
machine; the first lines show what one call costs beyond its work.
"""

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F

import softmaxlib
import softmaxlib.torch as ours

SHAPES = [(1, 10), (32, 10), (1, 1000), (128, 1000), (1024, 1024), (100_000, 10)]
LARGE = [(1_000_000, 10), (2048, 32_000), (256, 128_256), (1, 128_256)]


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


def row(name, shape, mine, theirs):
    print(f"{name:34} {shape!s:16} {mine:12.1f} {theirs:12.1f} {theirs / mine:8.2f}", flush=True)


def activations(shape):
    x = torch.randn(shape)
    pairs = [
        ("softmax", lambda x: ours.softmax(x, -1), lambda x: torch.softmax(x, -1)),
        ("log_softmax", lambda x: ours.log_softmax(x, -1), lambda x: torch.log_softmax(x, -1)),
        ("logsumexp", lambda x: ours.logsumexp(x, -1), lambda x: torch.logsumexp(x, -1)),
    ]
    for name, mine, theirs in pairs:
        row(name, shape, least(lambda f=mine: f(x)), least(lambda f=theirs: f(x)))
        row(f"{name} + backward", shape, least(with_backward(mine, x)), least(with_backward(theirs, x)))


def losses(shape):
    x, target = torch.randn(shape), torch.randint(shape[1], shape[:1])
    row(
        "cross_entropy",
        shape,
        least(lambda: ours.cross_entropy(x, target)),
        least(lambda: F.cross_entropy(x, target)),
    )
    mine, theirs = with_backward(ours.cross_entropy, x, target), with_backward(F.cross_entropy, x, target)
    row("cross_entropy + backward", shape, least(mine), least(theirs))


def linear(rows=2048, features=512, classes=32_000):
    x = torch.randn(rows, features, requires_grad=True)
    weight = (torch.randn(classes, features) / features**0.5).requires_grad_()
    target = torch.randint(classes, (rows,))
    peers = {"nn.Linear + cross_entropy": lambda: F.cross_entropy(F.linear(x, weight), target)}
    if hasattr(F, "linear_cross_entropy"):
        chunked = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=256)
        peers["torch linear_cross_entropy"] = lambda: F.linear_cross_entropy(x, weight, target)
        peers["torch linear_cross_entropy chunked"] = lambda: F.linear_cross_entropy(
            x, weight, target, options=chunked
        )
    leaves = (x, weight)
    mine = least(lambda: torch.autograd.grad(ours.linear_cross_entropy(x, weight, target), leaves), 3)
    for name, peer in peers.items():
        row(
            f"against {name}",
            (rows, features, classes),
            mine,
            least(lambda f=peer: torch.autograd.grad(f(), leaves), 3),
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--large", action="store_true", help="the long shapes and the linear loss too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    x = torch.randn(10)
    array = x.numpy()
    through, bare = least(lambda: ours.softmax(x)), least(lambda: softmaxlib.softmax(array))
    print(f"torch {torch.__version__}, numpy {np.__version__}, {options.threads} threads; microseconds")
    print(
        f"softmax of ten numbers: {through:.2f} as a tensor, {bare:.2f} as an array; "
        f"dispatch {through - bare:.2f}"
    )
    print(f"{'':34} {'shape':16} {'ours':>12} {'torch':>12} {'ratio':>8}")
    for shape in SHAPES + (LARGE if options.large else []):
        activations(shape)
        losses(shape)
    if options.large:
        linear()


if __name__ == "__main__":
    main()
