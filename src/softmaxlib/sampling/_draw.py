"""The draw: the token with the largest score plus noise."""

import numpy as np

from .._arrays import IntArray
from ._elementary import Float64Array
from ._generator import UInt32Array, UInt64Array, gumbel
from ._mass import shifted

CHUNK = 2**18


def draw(scores: Float64Array, source: IntArray, seed: UInt64Array, position: UInt32Array) -> IntArray:
    """Draw one token each: the argmax of score - largest + Gumbel(seed, position, token).

    Gumbel-max: the token follows the softmax of the scores exactly (Gumbel 1954; Maddison, Tarlow & Minka
    2014). Of equal sums, which need equal noise, the lowest id wins.

    Parameters
    ----------
    scores : (rows, V) float64
        Processed scores, -inf for a removed token.
    source : (draws,) int64
        The row of `scores` of each draw.
    seed, position : (draws,) arrays
        The key of each draw.
    """
    offset = shifted(scores)
    row, kept = np.nonzero(np.isfinite(scores))
    count = np.bincount(row, minlength=len(scores))
    start = np.cumsum(count) - count
    value = offset[row, kept]
    token = np.empty(len(source), dtype=np.int64)
    step = max(1, CHUNK // int(count.max()))
    for first in range(0, len(source), step):
        part = slice(first, first + step)
        token[part] = _best(value, kept, start[source[part]], count[source[part]], seed[part], position[part])
    return token


def _best(
    value: Float64Array,
    kept: IntArray,
    start: IntArray,
    count: IntArray,
    seed: UInt64Array,
    position: UInt32Array,
) -> IntArray:
    ends = np.cumsum(count)
    owner = np.repeat(np.arange(len(count)), count)
    entry = np.arange(ends[-1]) + (start - (ends - count))[owner]
    token = kept[entry]
    total = value[entry] + gumbel(seed[owner], position[owner], token.astype(np.uint32))
    best = np.maximum.reduceat(total, ends - count)
    winner = np.flatnonzero(total == best[owner])
    _, lowest = np.unique(owner[winner], return_index=True)
    return token[winner[lowest]]
