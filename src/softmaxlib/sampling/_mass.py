"""Probability mass as integers, whose sums are exact in any order.

The last token inside top-p depends on a cumulative sum. Floating-point sums depend on their order, and so on
threads and vector width. Sums of integers do not. The mass of a score is exp(score - largest), in units of
2^-q, where q is as large as the vocabulary allows without overflow: 45 bits for 128,256 tokens.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ._elementary import Float64Array, exp

Int64Array = npt.NDArray[np.int64]


class Masses(NamedTuple):
    """The masses of rows of scores.

    Attributes
    ----------
    mass : (rows, V) int64
        exp(score - largest of the row) in units of 2^-bits. 0 for a removed token.
    total : (rows, 1) int64
        The exact sum of each row.
    weight : (rows, V) float64
        exp(score - largest) itself.
    bits : int
        The unit is 2^-bits.
    """

    mass: Int64Array
    total: Int64Array
    weight: Float64Array
    bits: int


def unit_bits(vocabulary: int) -> int:
    """Return the number of binary digits of a mass, so that `vocabulary` masses of 1 sum to less than
    2^62."""
    return min(51, 62 - int(vocabulary).bit_length())


def shifted(scores: Float64Array) -> Float64Array:
    """Return the scores minus the largest of their row."""
    with np.errstate(over="ignore"):  # the distance between the extremes of float64 is infinite: mass 0
        return scores - scores.max(axis=-1, keepdims=True)


def masses(scores: Float64Array) -> Masses:
    """Compute the masses of rows of scores. Each row has at least one token left."""
    bits = unit_bits(scores.shape[-1])
    weight = exp(shifted(scores))
    mass = quantize(weight, bits)
    return Masses(mass, mass.sum(axis=-1, keepdims=True), weight, bits)


def quantize(values: Float64Array, bits: int) -> Int64Array:
    """Round values in [-1, 1] to the nearest number of units, ties to even."""
    return np.rint(values * 2.0**bits).astype(np.int64)
