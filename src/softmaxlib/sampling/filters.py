"""Filters, which decide the tokens to keep.

Each takes scores (rows, V) float64, in which removed tokens are -inf, and a parameter with one number per
row, as (rows, 1). It returns the mask of the tokens to keep. At least one token per row is kept. The sets are
those of the processors of the same name in transformers 5, with exact sums of masses. Only top-p may keep
other tokens, where it keeps some of several equal scores. It keeps as many, but transformers does not define
which, as its sort is not stable.
"""

import numpy as np
import numpy.typing as npt

from ._elementary import Float64Array
from ._mass import masses, quantize, shifted, unit_bits

Mask = npt.NDArray[np.bool_]


def keep_top_k(scores: Float64Array, k: npt.NDArray[np.int64]) -> Mask:
    """Keep the k largest scores, and all that equal the k-th (Fan, Lewis & Dauphin 2018)."""
    vocabulary = scores.shape[-1]
    k = np.minimum(k, vocabulary)
    ascending = np.sort(scores, axis=-1)
    smallest = np.take_along_axis(ascending, np.broadcast_to(vocabulary - k, (len(scores), 1)), axis=-1)
    return scores >= smallest


def keep_top_p(scores: Float64Array, p: Float64Array) -> Mask:
    """Keep the smallest set of largest scores with at least p of the mass (Holtzman et al. 2020).

    In ascending order, tokens are removed while their cumulative mass is at most 1 - p of the total. Of equal
    scores, lower token ids are removed first. p = 1 keeps all.
    """
    order = np.argsort(scores, axis=-1, kind="stable")
    mass, total, _, _ = masses(scores)
    cumulative = np.cumsum(np.take_along_axis(mass, order, axis=-1), axis=-1)
    keep_sorted = cumulative.astype(np.float64) > (1.0 - p) * total.astype(np.float64)
    keep_sorted[:, -1] = True
    keep = np.empty_like(keep_sorted)
    np.put_along_axis(keep, order, keep_sorted, axis=-1)
    return keep | (p == 1.0)


def keep_min_p(scores: Float64Array, p: Float64Array) -> Mask:
    """Keep tokens at least p times as probable as the most probable one (Nguyen et al. 2024)."""
    return masses(scores).weight >= p


def keep_typical_p(scores: Float64Array, p: Float64Array) -> Mask:
    """Keep the smallest set with mass p whose surprise is nearest to the entropy (Meister et al. 2023).

    |-log p_i - H| is |mean - score_i| with the mean of the scores under their own softmax, so no logarithm is
    needed. Tokens as near as the last one are kept. p = 1 keeps all.
    """
    mass, total, weight, bits = masses(scores)
    offset = shifted(scores)
    terms = np.where(weight > 0, weight * np.where(weight > 0, offset, 0.0), 0.0)
    mean = quantize(terms, bits).sum(axis=-1, keepdims=True).astype(np.float64) / total.astype(np.float64)
    distance = np.abs(mean - offset)
    order = np.argsort(distance, axis=-1, kind="stable")
    cumulative = np.cumsum(np.take_along_axis(mass, order, axis=-1), axis=-1)
    below = (cumulative.astype(np.float64) < p * total.astype(np.float64)).sum(axis=-1, keepdims=True)
    last = np.minimum(below, scores.shape[-1] - 1)
    farthest = np.take_along_axis(np.take_along_axis(distance, order, axis=-1), last, axis=-1)
    return (distance <= farthest) | (p == 1.0)


def keep_top_n_sigma(scores: Float64Array, n: Float64Array) -> Mask:
    """Keep scores within n standard deviations of the largest (Tang et al. 2024).

    This is the population standard deviation over the tokens that are left. It is summed in integer units of
    the row's range, so it does not depend on the order either.
    """
    left = np.isfinite(scores)
    bits = unit_bits(scores.shape[-1])
    count = left.sum(axis=-1, keepdims=True)
    largest = scores.max(axis=-1, keepdims=True)
    depth = np.where(
        left, 0.5 * largest - 0.5 * np.where(left, scores, largest), 0.0
    )  # halves cannot overflow
    span = depth.max(axis=-1, keepdims=True)
    distance = depth / np.where(span > 0, span, 1.0)
    mean = quantize(distance, bits).sum(axis=-1, keepdims=True) * 2.0**-bits / count
    square = np.where(left, (distance - mean) * (distance - mean), 0.0)
    deviation = np.sqrt(quantize(square, bits).sum(axis=-1, keepdims=True) * 2.0**-bits / count)
    return left & (distance <= n * deviation)


def keep_after_xtc(scores: Float64Array, threshold: Float64Array) -> Mask:
    """Keep only the least probable of the tokens with probability >= threshold, and all tokens below.

    "Exclude top choices". If fewer than two tokens reach the threshold, all are kept. Ties of the least
    probable one are kept.
    """
    mass, total, _, _ = masses(scores)
    reaches = mass.astype(np.float64) >= threshold * total.astype(np.float64)
    reaches &= np.isfinite(scores)
    least = np.where(reaches, scores, np.inf).min(axis=-1, keepdims=True)
    return scores <= least
