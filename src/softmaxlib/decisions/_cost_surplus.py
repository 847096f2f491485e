"""A test whether decisions cost more than expected if the probabilities are right."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._arrays import FloatArray, IntArray
from ..metrics.order import rising_order
from ..metrics.simulation import Floats, simulated_p_value

_GROUPS = 32
_OUTCOMES = 16


class _Group(NamedTuple):
    """Rows of one action and of about the same expected cost: how likely each outcome is, and its surplus."""

    rows: int
    weight: float  # of all of them
    scale: float  # what one of them weighs, so that their sum is as variable as it is
    probability: Floats
    surplus: Floats


def cost_p_value(
    cost: FloatArray,
    probabilities: FloatArray,
    action: IntArray,
    labels: IntArray,
    surplus: float,
    rows: float,
    fitted_rows: int,
    draws: int,
    weights: Floats | None = None,
) -> float:
    """Return the chance of a mean surplus (cost paid - expected) at least as large, if costs are as expected.

    The true classes of the rows are drawn from their probabilities. Those are themselves known only as well
    as the calibration could tell on `fitted_rows`: the surplus of as many other rows is drawn and subtracted.
    How often each class occurs is taken from both together, the rows of the fit and the new ones: a fit that
    saw hardly any row of a class says little about how much the next ones vary.
    Rows of one action are drawn in a few groups of about the same expected cost, each with its mean
    probabilities, which are a little more variable than the rows alone.

    Parameters
    ----------
    cost : array (classes, actions)
        Entry [y, a]: what action a costs where the truth is y.
    probabilities, action, labels : arrays (decided, classes), (decided,), (decided,)
        Of the rows that were decided; those set aside cost what was expected.
    surplus : float
        Mean over all rows.
    rows : float
        How many rows the mean is over; with weights, the sum of these.
    fitted_rows : int
        How many rows the calibration was fitted on, as many as count.
    draws : int
        The most draws.
    weights : array (decided,), optional
        How often each of the decided rows counts. It has one truth, and that is drawn once.
    """
    tilt = _tilt(probabilities, labels, rows, fitted_rows, weights)
    groups = list(_groups(cost, probabilities, tilt, action, weights))
    # a group may be less than one row of the fit, and all together are as many as they should be
    ends = np.rint(np.cumsum([group.weight for group in groups]) * (fitted_rows / rows))
    sizes = np.diff(ends, prepend=0.0).astype(np.int64).tolist()

    def draw(generator: np.random.Generator, count: int) -> Floats:
        fitted, now = np.zeros(count), np.zeros(count)
        for group, size in zip(groups, sizes, strict=True):
            fitted += generator.multinomial(size, group.probability, count) @ group.surplus
        for group in groups:
            drawn = generator.multinomial(group.rows, group.probability, count)
            now += group.scale * (drawn @ group.surplus)
        return now / rows - fitted / fitted_rows

    return simulated_p_value(draw, surplus, draws)


def _tilt(
    probabilities: FloatArray, labels: IntArray, rows: float, fitted_rows: int, weights: Floats | None
) -> Floats:
    """Return what gives probabilities the class frequencies of the fitted and the new rows together.

    Each class has a factor; rows are then divided by their sums.
    """
    sums = probabilities.sum(axis=0, dtype=np.float64) if weights is None else weights @ probabilities
    stated = np.maximum(sums, np.finfo(np.float64).tiny)
    seen = np.bincount(labels, weights, stated.size)
    with np.errstate(over="ignore"):  # a class that can't be, and is there
        ratio = (fitted_rows / rows * stated + seen) / ((fitted_rows / rows + 1) * stated)
    return np.minimum(ratio, 1 / np.finfo(np.float32).tiny)


def _groups(
    cost: FloatArray, probabilities: FloatArray, tilt: Floats, action: IntArray, weights: Floats | None
) -> Iterator[_Group]:
    every = np.flatnonzero(np.bincount(action))
    for taken in every:
        of_action = np.flatnonzero(action == taken)
        of_rows = None if weights is None else weights[of_action]
        level, place = _outcomes(cost[:, taken])
        brings = tilt[:, None] * np.eye(level.size)[place]
        outcomes = probabilities.take(of_action, axis=0).astype(np.float64) @ brings
        outcomes /= np.maximum(outcomes @ np.ones(level.size), np.finfo(np.float64).tiny)[:, None]
        order = rising_order(outcomes @ level)
        for part in np.array_split(order, min(max(1, _GROUPS // every.size), order.size)):
            if of_rows is None:
                weight, scale, probability = float(part.size), 1.0, outcomes[part].mean(axis=0)
            else:
                weight, squares = float(of_rows[part].sum()), of_rows[part] ** 2
                scale, probability = float(np.sqrt(squares.mean())), squares @ outcomes[part]
            probability /= probability.sum()
            yield _Group(part.size, weight, scale, probability, level - probability @ level)


def _outcomes(cost: FloatArray) -> tuple[Floats, IntArray]:
    """Return the costs that an action can have, at most 16 of them, and which of them each class brings."""
    level, place = np.unique(cost, return_inverse=True)
    if level.size > _OUTCOMES:
        edges = np.linspace(level[0], level[-1], _OUTCOMES + 1)[1:-1]
        place = np.unique(np.searchsorted(edges, cost), return_inverse=True)[1]
        level = np.bincount(place, cost) / np.bincount(place)
    return level.astype(np.float64), place
