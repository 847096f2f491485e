"""Calls of everything that is compiled, by way of Python, for scripts/sanitize: prints a hash of all results.

python tests/kernels/module_calls.py
"""

import gc
import hashlib
import threading

import ml_dtypes
import numpy as np

import softmaxlib
from softmaxlib import sampling
from softmaxlib._kernels import KernelFunction

DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
SHAPES = ((1, 1), (5, 3), (33, 10), (17, 100), (3, 1000), (2, 4097), (1, 70_001), (600, 700), (4, 5, 6))


def layouts(x):
    """The same numbers elsewhere: transposed, reversed, with gaps, unaligned, of the other byte order."""
    yield x
    yield np.asfortranarray(x)
    yield x[::-1, ..., ::-1].copy()[::-1, ..., ::-1]
    yield np.repeat(x, 2, axis=-1)[..., ::2]
    unaligned = np.empty(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    unaligned[...] = x
    yield unaligned
    if x.dtype.kind == "f":
        yield x.astype(x.dtype.newbyteorder())


def activations(x, generator):
    where = generator.random(x.shape) < 0.8
    where[..., 0] = True
    probabilities = softmaxlib.softmax(x)
    for axis in (-1, 0, None):
        for one in layouts(x):
            yield softmaxlib.softmax(one, axis)
            yield softmaxlib.log_softmax(one, axis, temperature=0.7)
            yield softmaxlib.logsumexp(one, axis)
        yield softmaxlib.softmax(x, axis, where=where)
        yield softmaxlib.logsumexp(x, axis, where=where, keepdims=True)
        yield softmaxlib.sparsemax(x, axis)
        yield softmaxlib.entmax(x, axis=axis)
        yield softmaxlib.softmax_jvp(x, probabilities, axis)
        yield softmaxlib.log_softmax_vjp(x, probabilities, axis)
        yield softmaxlib.softmax(x, axis, sink=0.5)
    for one in layouts(x):
        yield softmaxlib.sigmoid(one)
        yield softmaxlib.log_sigmoid(one)
    out = np.empty_like(x)
    yield softmaxlib.softmax(x, out=out)
    yield softmaxlib.log_softmax(out, out=out)


def losses(x, generator):
    labels = generator.integers(x.shape[-1], size=len(x))
    for options in ({}, {"label_smoothing": 0.1}, {"focal_gamma": 2.0}, {"ignore_index": 0}):
        yield softmaxlib.cross_entropy(x, labels, reduction="none", **options)
        yield from softmaxlib.cross_entropy_grad(x, labels, **options)
    yield softmaxlib.cross_entropy(x, softmaxlib.softmax(x.astype(float)), reduction="none")


CHAINS = (
    sampling.Chain(),
    sampling.Chain(sampling.Temperature(0.7), sampling.TopK(5)),
    sampling.Chain(sampling.TopP(0.9)),
    sampling.Chain(sampling.MinP(0.05)),
    sampling.Chain(sampling.TypicalP(0.8)),
    sampling.Chain(sampling.TopNSigma(1.5)),
)


def draws(generator):
    for vocabulary in (1, 17, 1000, 33_000):
        for dtype in (np.float32, np.float64):
            logits = 3 * generator.standard_normal((6, vocabulary)).astype(dtype)
            for chain in CHAINS:
                yield chain.sample(logits, seed=np.arange(6), position=0).token
            yield sampling.sample(logits, seed=np.arange(6), position=0)


def functions_of_kernels():
    """Functions that offer a call to a kernel first: made, called in every way, and freed."""

    def kernel(x, y):
        return NotImplemented if x is None else np.array([x, y])

    def function(x, y=2, **more):
        return np.array([y, len(more)])

    for turn in range(100):
        made = KernelFunction(kernel, function, ("x", "y"), (None, 2), 1, 2)
        made.itself = made
        yield made(turn)
        yield made(turn, y=3)
        yield made(None, z=4, **{"".join(["a", "b"]): 5})
    gc.collect()


def everything():
    generator = np.random.default_rng(0)
    for shape in SHAPES:
        for dtype in DTYPES:
            x = (4 * generator.standard_normal(shape)).astype(dtype)
            yield from activations(x, generator)
            if x.ndim == 2:
                yield from losses(x, generator)
    yield from draws(generator)
    yield from functions_of_kernels()


def digest():
    found = hashlib.sha256()
    for result in everything():
        found.update(np.ascontiguousarray(result).tobytes())
    return found.hexdigest()


def refused():
    """Errors let go of what they hold."""
    x = np.zeros((3, 4), np.float32)
    for arguments in ({"axis": 5}, {"temperature": -1.0}, {"where": np.ones(7, bool)}, {"out": np.zeros(3)}):
        try:
            softmaxlib.softmax(x, **arguments)
        except (ValueError, TypeError):
            continue
        raise AssertionError(f"softmax took {arguments}")


def main():
    refused()
    results = []
    threads = [threading.Thread(target=lambda: results.append(digest())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert len(set(results)) == 1
    print(results[0])


if __name__ == "__main__":
    main()
