"""Penalties that make earlier tokens less likely.

Each takes scores (V,) float64 and the history (n,) of token ids of one row, oldest first, and returns new
scores.
"""

from collections.abc import Iterable

import numpy as np

from .._arrays import IntArray
from ._elementary import Float64Array


def repetition(scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
    """Divide positive and multiply negative scores of seen tokens by the penalty (Keskar et al. 2019)."""
    seen = np.unique(history)
    score = scores[seen]
    scores = scores.copy()
    scores[seen] = np.where(score < 0, score * penalty, score / penalty)
    return scores


def presence(scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
    """Subtract the penalty once from tokens in the history."""
    scores = scores.copy()
    scores[np.unique(history)] -= penalty
    return scores


def frequency(scores: Float64Array, history: IntArray, penalty: float) -> Float64Array:
    """Subtract the penalty from a token as often as it is in the history."""
    tokens, counts = np.unique(history, return_counts=True)
    scores = scores.copy()
    scores[tokens] -= penalty * counts
    return scores


def dry(
    scores: Float64Array,
    history: IntArray,
    multiplier: float,
    base: float,
    allowed_length: float,
    breakers: Iterable[int],
) -> Float64Array:
    """Subtract multiplier * base ** (n - allowed_length) from tokens that continue a repetition of n tokens.

    "Don't repeat yourself" applies to each token that followed an earlier copy of the last n tokens, with the
    longest such n. Nothing is subtracted if n < allowed_length. A copy ends at a breaker (a line break, a
    quotation mark), and breakers themselves are not penalized.
    """
    breakers = set(breakers)
    exempt = np.isin(history, sorted(breakers))
    reach = int(np.argmax(exempt[::-1])) if exempt.any() else len(history)
    lengths = np.minimum(_suffix_lengths(history), reach)
    longest = np.zeros(len(scores), dtype=np.int64)
    np.maximum.at(longest, history[1:], lengths[:-1])
    longest[sorted(breakers)] = 0
    repeated = (longest >= allowed_length) & (longest > 0)
    with np.errstate(over="ignore"):  # a very long repetition is forbidden outright
        cost = multiplier * np.power(float(base), longest[repeated] - allowed_length)
    scores = scores.copy()
    scores[repeated] -= cost
    return scores


def _suffix_lengths(history: IntArray) -> IntArray:
    """Return, per position, how many tokens up to it equal the end of the history. 0 at the last."""
    backward = history[::-1].tolist()
    count = len(backward)
    lengths = [0] * count
    left = right = 0  # the Z algorithm: [left, right) is the match that ends farthest
    for start in range(1, count):
        length = min(right - start, lengths[start - left]) if start < right else 0
        while start + length < count and backward[length] == backward[start + length]:
            length += 1
        if start + length > right:
            left, right = start, start + length
        lengths[start] = length
    return np.asarray(lengths[::-1], dtype=np.int64)
