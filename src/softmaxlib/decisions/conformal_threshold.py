"""The threshold of split-conformal sets, and the number of rows that it needs."""

import math
from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from ..metrics.cell_quantiles import needed_weight
from .decision import Floats

_ROUNDING = 1e-12  # of sums of weights


def rows_needed(alpha: float) -> int:
    """Return the smallest group size in which a class can be ruled out."""
    return max(1, math.ceil(1 / alpha - 1 - 1e-9))


def threshold_rank(rows: int, alpha: float) -> int:
    """Return the rank (from 1) of the threshold among the scores: ceil((rows + 1)(1 - alpha))."""
    # a hair less, so that 0.9 * 10 can't become the 10th of 9
    return max(1, math.ceil((rows + 1) * (1 - alpha) - 1e-9))


def rows_of_weight(total: Floats, heaviest: Floats) -> IntArray:
    """Return the number of rows of the largest weight with the same total weight, rounded down."""
    count = np.divide(total, heaviest, out=np.zeros_like(total), where=heaviest > 0)
    return np.floor(count * (1 + _ROUNDING)).astype(np.int64)


class FittedThreshold(NamedTuple):
    """A threshold, and the number of rows behind it."""

    threshold: float
    rows: int


def conformal_threshold(scores: Floats, alpha: float, weights: Floats | None) -> FittedThreshold:
    """Return the score of the rank of the threshold, or infinity if there are too few scores.

    With weights it is the least score such that the scores up to it have the share 1 - alpha of the total
    weight. The total includes one more row, as heavy as the heaviest and worse than all others. The rows are
    then counted in units of the largest weight, rounded down.
    """
    if weights is not None and weights.size:
        order = np.argsort(scores, kind="stable")
        cumulated, heaviest = np.cumsum(weights[order]), weights.max()
        place = int(np.searchsorted(cumulated, needed_weight(cumulated[-1], heaviest, alpha)))
        threshold = float(scores[order[place]]) if place < scores.size else math.inf
        return FittedThreshold(threshold, int(rows_of_weight(cumulated[-1], heaviest)))
    rank = threshold_rank(scores.size, alpha)
    threshold = float(np.partition(scores, rank - 1)[rank - 1]) if rank <= scores.size else math.inf
    return FittedThreshold(threshold, scores.size)
