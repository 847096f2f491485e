"""Whether decisions cost more than expected, by what they would cost were the probabilities right."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .._arrays import FloatArray, IntArray
from ..metrics.simulation import Floats, simulated_p_value

_GROUPS = 32
_OUTCOMES = 16


class _Group(NamedTuple):
    """Rows of one action and of about the same expected cost: how likely each outcome is, and its surplus."""

    rows: int
    probability: Floats
    surplus: Floats


def cost_p_value(
    cost: FloatArray,
    probabilities: FloatArray,
    action: IntArray,
    labels: IntArray,
    surplus: float,
    rows: int,
    fitted_rows: int,
    draws: int,
) -> float:
    """The chance of a mean surplus (cost paid - expected) at least as large, if costs are as expected.

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
    rows, fitted_rows : int
        How many rows the mean is over, and how many the calibration was fitted on.
    draws : int
        The most draws.
    """
    groups = list(_groups(cost, _pooled(probabilities, labels, rows, fitted_rows), action))

    def total(generator: np.random.Generator, share: float, count: int) -> Floats:
        sums = np.zeros(count)
        for group in groups:
            size = round(group.rows * share)
            sums += generator.multinomial(size, group.probability, count) @ group.surplus
        return sums

    def draw(generator: np.random.Generator, count: int) -> Floats:
        fitted = total(generator, fitted_rows / rows, count) / fitted_rows
        return total(generator, 1.0, count) / rows - fitted

    return simulated_p_value(draw, surplus, draws)


def _pooled(probabilities: FloatArray, labels: IntArray, rows: int, fitted_rows: int) -> Floats:
    """The probabilities with each class as frequent as in the rows of the fit and the new ones together."""
    stated = np.maximum(probabilities.sum(axis=0, dtype=np.float64), np.finfo(np.float64).tiny)
    seen = np.bincount(labels, minlength=stated.size)
    ratio = (fitted_rows / rows * stated + seen) / ((fitted_rows / rows + 1) * stated)
    tilted = probabilities * np.minimum(ratio, 1 / np.finfo(np.float32).tiny)
    return tilted / np.maximum(tilted.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _groups(cost: FloatArray, probabilities: FloatArray, action: IntArray) -> Iterator[_Group]:
    every = np.unique(action)
    for taken in every:
        of_action = probabilities[action == taken].astype(np.float64)
        level, place = _outcomes(cost[:, taken])
        outcomes = np.stack([of_action[:, place == one].sum(axis=1) for one in range(level.size)], axis=1)
        outcomes /= outcomes.sum(axis=1, keepdims=True)
        order = np.argsort(outcomes @ level, kind="stable")
        for part in np.array_split(order, min(max(1, _GROUPS // every.size), order.size)):
            probability = outcomes[part].mean(axis=0)
            probability /= probability.sum()
            yield _Group(part.size, probability, level - probability @ level)


def _outcomes(cost: FloatArray) -> tuple[Floats, IntArray]:
    """The costs that an action can have, at most 16 of them, and which of them each class brings."""
    level, place = np.unique(cost, return_inverse=True)
    if level.size > _OUTCOMES:
        edges = np.linspace(level[0], level[-1], _OUTCOMES + 1)[1:-1]
        place = np.unique(np.searchsorted(edges, cost), return_inverse=True)[1]
        level = np.bincount(place, cost) / np.bincount(place)
    return level.astype(np.float64), place
