"""A test whether the log loss rose since the fit."""

import math

import numpy as np

from .._arrays import FloatArray, IntArray
from ..metrics.normal_mean import LEAST_ROWS
from ..metrics.simulation import Floats, least_p_value, simulated_p_value
from .figures import Figures, LossCounts

_GROUPS = 24
_MOST_ROWS_DRAWN = 10**9  # what NumPy's hypergeometric law takes


def loss_change(
    then: Figures,
    losses_then: LossCounts | None,
    now: Figures,
    losses_now: LossCounts | None,
    draws: int,
    counted: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Return the p-value of a larger log loss, and the least that such rows can reach.

    If nothing changed, old and new rows can be exchanged: of the losses of both together as many as there are
    new rows are drawn without replacement, and their mean is compared with that of the new rows. So no loss
    needs to be normal, however rarely a large one occurs. The difference of the means is divided by its
    error, once from both samples together and once from each by itself, and the larger quotient counts: the
    first sees large losses that are new, the second many small ones that rose a little.

    Weighted rows can't be exchanged, and a policy that was fitted with weights, or that an earlier version
    saved, has no losses to draw from. There the mean is taken for normal, with the larger of the errors that
    the two samples have by themselves and together. `counted` says how many rows of equal weight each is
    worth, by default as many as it has: if a few heavy rows have about the same loss, only the spread of both
    samples together shows how little they say.
    """
    if losses_then is None or losses_now is None or then.rows + now.rows >= _MOST_ROWS_DRAWN:
        counted = (then.rows, now.rows) if counted is None else counted
        return _normal_p_value(then, now, counted), 0.0 if min(then.rows, now.rows) >= LEAST_ROWS else 1.0
    cells = np.union1d(losses_then.cells, losses_now.cells)
    counts = np.zeros((2, cells.size), dtype=np.int64)
    for row, losses in zip(counts, (losses_then, losses_now), strict=True):
        row[np.searchsorted(cells, losses.cells)] = losses.counts
    pooled, of_now, value = _coarsened(counts.sum(axis=0), counts[1], LossCounts.value_of(cells))

    def statistic(of_new: IntArray) -> Floats:
        return _standardised(of_new, pooled, value)

    def draw(generator: np.random.Generator, count: int) -> Floats:
        of_new = generator.multivariate_hypergeometric(pooled, now.rows, count, method="marginals")
        return statistic(of_new)

    few = min(then.rows, now.rows)
    worst = 1 / math.comb(then.rows + now.rows, few) if few <= LEAST_ROWS else 0.0
    return simulated_p_value(draw, float(statistic(of_now[None])[0]), draws), max(worst, least_p_value(draws))


def _coarsened(
    pooled: IntArray, of_now: IntArray, value: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Join neighbouring losses that add little to mean and spread, judged on old and new rows together."""
    shares = [pooled * power / (pooled @ power) for power in (value, value**2)]
    share = shares[0] + shares[1]
    middle = np.cumsum(share) - share / 2  # the end of the last is a border, which rounding would decide
    _, first = np.unique((_GROUPS * middle).astype(np.int64), return_index=True)
    joined = np.add.reduceat(pooled, first)
    return joined, np.add.reduceat(of_now, first), np.add.reduceat(pooled * value, first) / joined


def _standardised(of_new: IntArray, pooled: IntArray, value: FloatArray) -> Floats:
    """Return the difference of the means over its error, of each row of counts of new losses."""
    counts = [of_new, pooled - of_new]
    rows = [one.sum(axis=-1) for one in counts]
    means = [one @ value / size for one, size in zip(counts, rows, strict=True)]
    squares = [one @ value**2 / size for one, size in zip(counts, rows, strict=True)]
    apart = sum((square - mean**2) / size for square, mean, size in zip(squares, means, rows, strict=True))
    every = pooled.sum()
    variance = pooled @ value**2 / every - (pooled @ value / every) ** 2
    together = variance * (1 / rows[0] + 1 / rows[1])
    least = np.finfo(np.float64).tiny
    return (means[0] - means[1]) / np.sqrt(np.maximum(np.minimum(apart, together), least))


def _normal_p_value(then: Figures, now: Figures, counted: tuple[float, float]) -> float:
    from scipy.special import ndtr

    difference = now.log_loss - then.log_loss
    first, second = counted
    rows = first + second
    pooled = ((first * then.log_loss_error) ** 2 + (second * now.log_loss_error) ** 2) / rows
    pooled += first * second * (difference / rows) ** 2
    together = np.sqrt(pooled * (1 / first + 1 / second))
    error = max(np.hypot(then.log_loss_error, now.log_loss_error), together)
    return float(ndtr(-difference / error)) if error > 0 else 1.0
