"""Whether the log loss rose since the fit."""

import math

import numpy as np

from .._arrays import FloatArray, IntArray
from ._simulation import Floats, least_p_value, simulated_p_value
from .record import Figures, LossCounts

_LEAST_ROWS = 30  # from which on a mean is taken for normal
_GROUPS = 24
_MOST_ROWS_DRAWN = 10**9  # what NumPy's hypergeometric law takes


def loss_change(
    then: Figures, losses_then: LossCounts | None, now: Figures, losses_now: LossCounts, draws: int
) -> tuple[float, float]:
    """The p-value of a larger log loss, and the least that such rows can reach.

    If nothing changed, old and new rows can be exchanged: of the losses of both together as many as there are
    new rows are drawn without replacement, and their mean is compared with that of the new rows. So no loss
    needs to be normal, however rarely a large one occurs.

    A policy that an earlier version saved has no losses to draw from. There the mean is taken for normal,
    with the larger of the errors that the two samples have by themselves and together.
    """
    if losses_then is None or then.rows + now.rows >= _MOST_ROWS_DRAWN:
        return _normal_p_value(then, now), 0.0 if min(then.rows, now.rows) >= _LEAST_ROWS else 1.0
    cells = np.union1d(losses_then.cells, losses_now.cells)
    counts = np.zeros((2, cells.size), dtype=np.int64)
    for row, losses in zip(counts, (losses_then, losses_now), strict=True):
        row[np.searchsorted(cells, losses.cells)] = losses.counts
    pooled, of_now, value = _coarsened(counts.sum(axis=0), counts[1], LossCounts.value_of(cells))

    def draw(generator: np.random.Generator, count: int) -> Floats:
        return generator.multivariate_hypergeometric(pooled, now.rows, count, method="marginals") @ value

    worst = 1 / math.comb(int(pooled.sum()), now.rows) if now.rows <= _LEAST_ROWS else 0.0
    return simulated_p_value(draw, float(of_now @ value), draws), max(worst, least_p_value(draws))


def _coarsened(
    pooled: IntArray, of_now: IntArray, value: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Join neighbouring losses that add little to the spread; old and new rows together say which."""
    weight = np.cumsum(pooled * value**2)
    _, first = np.unique((_GROUPS * weight / weight[-1]).astype(np.int64), return_index=True)
    joined = np.add.reduceat(pooled, first)
    return joined, np.add.reduceat(of_now, first), np.add.reduceat(pooled * value, first) / joined


def _normal_p_value(then: Figures, now: Figures) -> float:
    from scipy.stats import norm

    difference = now.log_loss - then.log_loss
    variance = [one.log_loss_error**2 * one.rows for one in (then, now)]
    rows = then.rows + now.rows
    pooled = (variance[0] * then.rows + variance[1] * now.rows) / rows
    pooled += then.rows * now.rows * (difference / rows) ** 2
    error = max(
        np.hypot(then.log_loss_error, now.log_loss_error), np.sqrt(pooled * (1 / then.rows + 1 / now.rows))
    )
    return float(norm.sf(difference / error)) if error > 0 else 1.0
