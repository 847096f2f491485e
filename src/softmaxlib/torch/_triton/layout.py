"""Layout of rows in a tensor: dimensions that can be walked as one are joined, without a copy."""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Dimensions(NamedTuple):
    """Some dimensions of several tensors of one shape: lengths, and for each tensor its strides."""

    lengths: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]


def joined(lengths: Sequence[int], strides: Sequence[Sequence[int]]) -> Dimensions:
    """Drop dimensions of length 1, and join neighbours that every tensor can walk as one.

    Parameters
    ----------
    lengths : sequence of int
        Lengths of the dimensions, the fastest one last.
    strides : sequence of sequences of int
        One a tensor.
    """
    kept: list[tuple[int, tuple[int, ...]]] = []
    for length, steps in zip(lengths, zip(*strides, strict=True), strict=True):
        if length == 1:
            continue
        if kept and all(before == step * length for before, step in zip(kept[-1][1], steps, strict=True)):
            kept[-1] = kept[-1][0] * length, steps
        else:
            kept.append((length, steps))
    if not kept:
        kept = [(1, (0,) * len(strides))]
    return Dimensions(
        tuple(length for length, _ in kept),
        tuple(tuple(steps[i] for _, steps in kept) for i in range(len(strides))),
    )


def rows_and_classes(tensors: Sequence[Tensor], dims: Sequence[int]) -> tuple[Dimensions, Dimensions]:
    """Return the dimensions of the rows and those of the classes, for tensors of one shape."""
    return _split(tuple(tensors[0].shape), tuple(one.stride() for one in tensors), tuple(dims))


@functools.lru_cache(maxsize=1024)
def _split(
    shape: tuple[int, ...], strides: tuple[tuple[int, ...], ...], dims: tuple[int, ...]
) -> tuple[Dimensions, Dimensions]:
    inner = sorted(d % len(shape) for d in dims)
    outer = [d for d in range(len(shape)) if d not in inner]
    rows, classes = (
        joined([shape[d] for d in which], [[one[d] for d in which] for one in strides])
        for which in (outer, inner)
    )
    return rows, classes


def rows_of(input: Tensor, inner: Dimensions) -> tuple[int, int]:
    """Return the numbers of rows and of classes."""
    classes = math.prod(inner.lengths)
    return input.numel() // classes, classes
