"""The log loss as a function of the temperature: its value and two derivatives, in one pass over the rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .base import Weights
from .blocks import sum_over_blocks

Floats = npt.NDArray[np.float64]

_BLOCK = 1 << 16  # numbers worked on at a time
_LOWEST = -700.0  # exp of it is the smallest worth having, and still a normal number


class Moments(NamedTuple):
    """Weighted means over rows, for t = (x - max) / T and p = softmax(t)."""

    loss: float  # logsumexp(t) - t[y]
    slope: float  # sum(p t) - t[y]: the derivative of the loss by log(1 / T)
    curvature: float  # sum(p t^2) - sum(p t)^2


class Survey(NamedTuple):
    """What decides whether a temperature can be found, and where to look for it."""

    spread: float  # largest max - min of a row
    typical_spread: float  # the mean of the same
    separable: bool  # every label has the largest logit of its row
    slope: float  # mean of (mean logit - label's logit): the slope at T = infinity


def tempered_moments(
    logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights, inverse: float
) -> Moments:
    """The moments at the inverse temperature `inverse`."""
    length = max(1, _BLOCK // logits.shape[1])

    def make_part() -> Callable[[slice], Floats]:
        scaled, weight = np.empty((2, min(length, len(labels)), logits.shape[1]))

        def part(rows: slice) -> Floats:
            moments = _row_moments(logits[rows], labels[rows], inverse, scaled, weight)
            return np.einsum("i,ij->j", weights[rows], moments)

        return part

    total = sum_over_blocks(len(labels), length, make_part)
    return Moments(*(total / weights.sum()).tolist())


def _row_moments(
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    inverse: float,
    scaled: Floats,
    weight: Floats,
) -> Floats:
    """Loss, slope and curvature of each row (rows, 3); the last two arguments are room to work in."""
    scaled, weight = scaled[: len(labels)], weight[: len(labels)]
    highest = logits.max(axis=1)
    chosen = inverse * np.subtract(logits[np.arange(len(labels)), labels], highest, dtype=np.float64)
    np.subtract(logits, highest[:, None], dtype=np.float64, out=scaled)
    scaled *= inverse
    np.maximum(scaled, _LOWEST, out=scaled)
    np.exp(scaled, out=weight)
    total = weight.sum(axis=1)
    mean = np.einsum("ij,ij->i", weight, scaled) / total
    weight *= scaled
    square = np.einsum("ij,ij->i", weight, scaled) / total
    return np.stack([np.log(total) - chosen, mean - chosen, square - mean * mean], axis=1)


def survey_rows(logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], weights: Weights) -> Survey:
    """One look at all rows, without exponentials."""
    highest = logits.max(axis=1).astype(np.float64)
    width = highest - logits.min(axis=1)
    chosen = logits[np.arange(len(labels)), labels]
    slope = np.sum(weights * (logits.mean(axis=1, dtype=np.float64) - chosen))
    return Survey(
        spread=float(width.max()),
        typical_spread=float(np.sum(weights * width) / weights.sum()),
        separable=bool((chosen == highest).all()),
        slope=float(slope / weights.sum()),
    )


def log_ties(logits: npt.NDArray[Any], weights: Weights) -> float:
    """The loss that is left at T = 0 when labels share the largest logit: mean log of how many share it."""
    count = np.count_nonzero(logits == logits.max(axis=1, keepdims=True), axis=1)
    return float(np.sum(weights * np.log(count)) / weights.sum())
