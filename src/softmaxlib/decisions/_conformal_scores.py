"""Nonconformity of each class of each row: small where the class fits the probabilities well."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .._checks import check_choice, check_real
from ..errors import InvalidInputError
from ._ranking import descending
from .rule import Floats

SCORES = ("lac", "aps", "raps", "saps")


def nonconformity(
    score: str, probabilities: Floats, uniform: Floats, penalty: float, penalty_rank: int
) -> Floats:
    """Return the score of every class, shape (rows, classes).

    Parameters
    ----------
    score
        One of SCORES.
    probabilities
        Of a block of rows.
    uniform
        One number in [0, 1] a row, shape (rows, 1) or (1, 1): how much of a class's own step counts.
    penalty, penalty_rank
        For "raps" and "saps".
    """
    if score == "lac":
        return 1 - probabilities
    order = descending(probabilities)
    ordered = np.take_along_axis(probabilities, order, axis=1)
    scores = np.empty_like(probabilities)
    np.put_along_axis(scores, order, _of_ordered(score, ordered, uniform, penalty, penalty_rank), axis=1)
    return scores


def _of_ordered(score: str, ordered: Floats, uniform: Floats, penalty: float, penalty_rank: int) -> Floats:
    rank = np.arange(1, ordered.shape[1] + 1)
    if score == "saps":
        first = ordered[:, :1]
        return np.where(rank == 1, uniform * first, first + (rank - 2 + uniform) * penalty)
    scores = np.cumsum(ordered, axis=1) - (1 - uniform) * ordered
    if score == "raps":
        scores += penalty * np.maximum(rank - penalty_rank, 0)
    return scores


def row_uniform(probabilities: Floats, seed: int) -> Floats:
    """Return a number in [0, 1) per row, shape (rows, 1), derived from the row's bits and the seed.

    So a row gets the same set alone, in any batch and on any day; and as any function of a row is a valid
    score, coverage holds as with numbers drawn at random.
    """
    bits = np.ascontiguousarray(probabilities).view(np.uint64)
    multipliers = np.random.default_rng(seed).integers(0, 2**64, bits.shape[1], np.uint64) | np.uint64(1)
    mixed = _mix(((bits ^ (bits >> np.uint64(32))) * multipliers).sum(axis=1, dtype=np.uint64))
    return ((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)[:, None]


def _mix(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def check_score(score: str, randomized: bool) -> str:
    """Check that the score is known, and that it can be randomized if asked for."""
    check_choice(score, "score", SCORES)
    if score == "lac" and randomized:
        raise InvalidInputError('score "lac" has no step to randomise; leave out randomized or use "aps"')
    return score


def check_penalty(penalty: float) -> float:
    """Check that the penalty is finite and not negative."""
    number = check_real(penalty, "penalty")
    if not 0 <= number < math.inf:
        raise InvalidInputError(f"penalty must be finite and not negative, got {penalty}; 0 leaves it out")
    return number
