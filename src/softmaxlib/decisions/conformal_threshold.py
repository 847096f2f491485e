"""The threshold of a split-conformal set, and how many rows it takes."""

import math

import numpy as np

from .decision import Floats


def rows_needed(alpha: float) -> int:
    """The smallest group in which anything can be ruled out."""
    return max(1, math.ceil(1 / alpha - 1 - 1e-9))


def threshold_rank(rows: int, alpha: float) -> int:
    """The rank, from 1, of the threshold among the scores of so many rows: ceil((rows + 1)(1 - alpha))."""
    # a hair less, so that 0.9 * 10 can't become the 10th of 9
    return max(1, math.ceil((rows + 1) * (1 - alpha) - 1e-9))


def conformal_threshold(scores: Floats, alpha: float) -> float:
    """The score of that rank; infinite where there are not so many."""
    rank = threshold_rank(scores.size, alpha)
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= scores.size else math.inf
