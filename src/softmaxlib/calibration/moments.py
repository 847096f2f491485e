"""The log loss as a function of the temperature: its value and two derivatives, in one pass over the rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._all_rows import Merged
from .blocks import sum_over_blocks
from .fit_rows import FitRows, HeldRows

Floats = npt.NDArray[np.float64]

_BLOCK = 1 << 16  # numbers worked on at a time
_LOWEST = -700.0  # exp of it is the smallest worth having, and still a normal number


class Moments(NamedTuple):
    """Weighted means over rows, for t = (x - max) / T and p = softmax(t)."""

    loss: float  # logsumexp(t) - t[y]
    slope: float  # sum(p t) - t[y]: the derivative of the loss by log(1 / T)
    curvature: float  # sum(p t^2) - sum(p t)^2


class Survey(NamedTuple):
    """Statistics that tell whether a temperature exists, and where to search for it."""

    largest: float  # the largest logit without its sign
    spread: float  # largest max - min of a row
    typical_spread: float  # the mean of the same
    separable: bool  # every label has the largest logit of its row
    slope: float  # mean of (mean logit - label's logit): the slope at T = infinity


def tempered_moments(rows: FitRows, inverse: float) -> Moments:
    """Return the moments at the inverse temperature `inverse`."""
    return Moments(*(rows.total(_moments, inverse) / rows.total_weight).tolist())


def _moments(rows: HeldRows, inverse: float) -> Floats:
    """Return the weighted sums of the moments of rows."""
    logits, labels, weights = rows.logits, rows.labels, rows.weights
    length = max(1, _BLOCK // logits.shape[1])

    def make_part() -> Callable[[slice], Floats]:
        scaled, weight = np.empty((2, min(length, len(labels)), logits.shape[1]))

        def part(some: slice) -> Floats:
            moments = _row_moments(logits[some], labels[some], inverse, scaled, weight)
            return np.einsum("i,ij->j", weights[some], moments)

        return part

    return sum_over_blocks(len(labels), length, make_part)


def _row_moments(
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    inverse: float,
    scaled: Floats,
    weight: Floats,
) -> Floats:
    """Return loss, slope and curvature of each row (rows, 3); the last two arguments are room to work in."""
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


def survey_rows(rows: FitRows) -> Survey:
    """Survey all rows once, without exponentials."""
    added, largest = rows.merged(_survey)
    typical_spread, slope = (added / rows.total_weight).tolist()
    return Survey(
        largest=float(largest[0]),
        spread=float(largest[1]),
        typical_spread=typical_spread,
        separable=not largest[2],
        slope=slope,
    )


def _survey(rows: HeldRows) -> Merged:
    """Return sums of widths and slopes, largest logit and width, and whether a label is not the largest."""
    logits, weights = rows.logits, rows.weights
    largest = max(abs(float(logits.min())), abs(float(logits.max())))
    with np.errstate(over="ignore", invalid="ignore"):  # of logits so large that they are surveyed again
        highest = logits.max(axis=1).astype(np.float64)
        width = highest - logits.min(axis=1)
        chosen = logits[np.arange(rows.count), rows.labels]
        slope = np.sum(weights * (logits.mean(axis=1, dtype=np.float64) - chosen))
        added = np.array([np.sum(weights * width), slope])
    return Merged(added, np.array([largest, width.max(), (chosen != highest).any()]))


def log_ties(rows: FitRows) -> float:
    """Return the loss at T = 0 if labels share the largest logit: the mean log of the number of ties."""
    return float(rows.total(_log_ties)[0] / rows.total_weight)


def _log_ties(rows: HeldRows) -> Floats:
    count = np.count_nonzero(rows.logits == rows.logits.max(axis=1, keepdims=True), axis=1)
    return np.array([np.sum(rows.weights * np.log(count))])
