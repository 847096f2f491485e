"""The threshold of a split-conformal set, and how many rows it takes."""

import math
from typing import NamedTuple

import numpy as np

from .._arrays import IntArray
from ..metrics.cell_quantiles import needed_weight
from .decision import Floats

_ROUNDING = 1e-12  # of sums of weights


def rows_needed(alpha: float) -> int:
    """Return the smallest group in which anything can be ruled out."""
    return max(1, math.ceil(1 / alpha - 1 - 1e-9))


def threshold_rank(rows: int, alpha: float) -> int:
    """Return the rank (from 1) of the threshold among the scores: ceil((rows + 1)(1 - alpha))."""
    # a hair less, so that 0.9 * 10 can't become the 10th of 9
    return max(1, math.ceil((rows + 1) * (1 - alpha) - 1e-9))


def rows_of_weight(total: Floats, heaviest: Floats) -> IntArray:
    """Return how many rows of the largest weight weigh as much, rounded down."""
    count = np.divide(total, heaviest, out=np.zeros_like(total), where=heaviest > 0)
    return np.floor(count * (1 + _ROUNDING)).astype(np.int64)


class FittedThreshold(NamedTuple):
    """A threshold, and the rows that it rests on."""

    threshold: float
    rows: int


def conformal_threshold(scores: Floats, alpha: float, weights: Floats | None) -> FittedThreshold:
    """Return the score of that rank; infinite where there are not so many.

    With weights it is the least score such that those up to it hold the share 1 - alpha of all weight, that
    of one more row included, which counts as heavy as the heaviest and as worse than all. The rows are then
    as many of the largest weight as weigh as much, rounded down.
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
