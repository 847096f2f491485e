"""The best threshold of two classes on some rows, and its expected figure on new rows.

A *table* counts rows, shape (..., 2, 2): entry [k, j] holds the rows of class k that are taken for class j. A
row is taken for class 1 if its score reaches the threshold. With weights a table counts as many rows of equal
weight as say as much (Kish): see `effective_weights`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray, IntArray
from ._promise_cells import PromiseCells
from ._rounding import begins_tie
from .decision import Floats

Flags = npt.NDArray[np.bool_]

_REPETITIONS = 10  # of the assignment to folds, so that it hardly matters which one is drawn
_MOST_CANDIDATES = 10_000
_DRAWS = 20_000
_PRIOR = 0.5  # rows that are added to each count (Jeffreys)


class Goal(NamedTuple):
    """The objective of a threshold (a figure of tables, larger is better) and the allowed tables."""

    figure: Callable[[Floats], Floats]
    allowed: Callable[[Floats], Flags]


class Rows(NamedTuple):
    """Scores, labels and effective weights of the rows of the fit, each of shape (rows,)."""

    scores: FloatArray
    labels: IntArray
    weights: Floats


class Found(NamedTuple):
    """The best threshold.

    Attributes
    ----------
    threshold : float
        The lowest of those that are best on all rows.
    in_sample : ndarray, shape (2, 2)
        The table there.
    cross_fitted : ndarray, shape (2, 2)
        The table of decisions by thresholds that were chosen on other rows; its sum is the number of rows.
    widening : float
        By how much the variance of the figure grows because other rows would have given another threshold; at
        least 1.
    """

    threshold: float
    in_sample: Floats
    cross_fitted: Floats
    widening: float


def candidates(scores: FloatArray, labels: IntArray) -> Floats:
    """Return the thresholds that can be best, rising: each lets in a row of class 1 that the next does not.

    A threshold lies halfway to the next lower score, and the last one above all scores. None lies between
    scores that only rounding tells apart. Of more than 10,000 every so many are returned.
    """
    distinct = np.unique(scores.astype(np.float64))
    lower = np.concatenate([[0.0], distinct[:-1]])
    halfway = lower + (distinct - lower) / 2
    begins = begins_tie(distinct, scores.dtype)
    tie = np.cumsum(begins) - 1
    holds_one = np.bincount(tie, np.isin(distinct, scores[labels == 1])) > 0
    useful = np.flatnonzero(begins)[holds_one]
    if useful.size > _MOST_CANDIDATES:
        useful = useful[np.linspace(0, useful.size - 1, _MOST_CANDIDATES).round().astype(np.int64)]
    # between neighbouring numbers there is none: then the row's own score
    thresholds = np.where(halfway > lower, halfway, distinct)[useful]
    above = distinct[-1] + (1 - distinct[-1]) / 2
    return np.append(thresholds, above) if above > distinct[-1] else thresholds


def effective_weights(weights: Floats | None, rows: int) -> Floats:
    """Scale weights so that their sum is the effective number of rows, (sum w)^2 / sum w^2."""
    return np.ones(rows) if weights is None else weights * (weights.sum() / (weights @ weights))


def pairs_of(cells: PromiseCells) -> Floats:
    """Return the weight of each pair of true class and action, and last the sum of the squared weights."""
    return np.append(np.bincount(cells.cell, cells.weight, 4), cells.square.sum()).astype(np.float64)


def table_of_pairs(pairs: Floats, is_weighted: bool) -> Floats:
    """Return the table of the pairs, scaled to the effective number of rows."""
    table, squares = pairs[:4].reshape(2, 2), pairs[4]
    return table * (table.sum() / squares) if is_weighted else table


def count_tables(rows: Rows, thresholds: Floats, fold: IntArray, folds: int) -> Floats:
    """Return the tables of each fold for rising thresholds, shape (folds, thresholds, 2, 2)."""
    scores, labels, weights = rows
    reached = np.searchsorted(thresholds, scores.astype(np.float64), side="right")  # how many of them
    length = thresholds.size + 1
    cells = np.bincount((fold * 2 + labels) * length + reached, weights, folds * 2 * length).astype(
        np.float64, copy=False
    )
    at_least = np.cumsum(cells.reshape(folds, 2, length)[..., ::-1], axis=-1)[..., ::-1]
    taken = at_least[..., 1:]
    return np.stack([at_least[..., :1] - taken, taken], axis=-1).transpose(0, 2, 1, 3)


def find_threshold(rows: Rows, thresholds: Floats, goal: Goal, folds: int, seed: int) -> Found | None:
    """Find the best threshold and judge it by cross-fitting; None where none is allowed."""
    tables = count_tables(rows, thresholds, np.zeros(rows.labels.size, np.int64), 1)[0]
    best = _best(tables, goal)
    if best is None:
        return None
    generator = np.random.default_rng(seed)
    cross_fitted, chosen = np.zeros((2, 2)), []
    for _ in range(_REPETITIONS):
        fold = _assign_folds(rows.labels, folds, generator)
        for part in count_tables(rows, thresholds, fold, folds):
            others = tables - part
            # as if there were as many rows as in all: what may be promised depends on how many there are
            found = _best(others * (tables[0].sum() / others[0].sum()), goal)
            chosen.append(best if found is None else found)
            cross_fitted += part[chosen[-1]] / _REPETITIONS
    deviation = goal.figure(tables[np.array(chosen)]) - goal.figure(tables[best])
    # a threshold of all rows but one part of `folds` deviates this much less than one of new rows
    of_threshold = (folds - 1) * float(np.mean(deviation**2))
    of_rows = float(np.var(goal.figure(draw_tables(cross_fitted))))
    return Found(float(thresholds[best]), tables[best], cross_fitted, 1 + of_threshold / of_rows)


def draw_tables(table: Floats) -> Floats:
    """Return tables that chance might have made of as many rows, shape (draws, 2, 2), of shares of the rows.

    From the posterior under Jeffreys' prior, always by the same random numbers.
    """
    draws = np.random.default_rng(0).standard_gamma(table + _PRIOR, size=(_DRAWS, 2, 2))
    return draws / draws.sum(axis=(-2, -1), keepdims=True)


def _best(tables: Floats, goal: Goal) -> int | None:
    """Return the first of the best tables that are allowed."""
    figures = np.where(goal.allowed(tables), goal.figure(tables), -np.inf)
    best = int(np.argmax(figures))
    return None if figures[best] == -np.inf else best


def _assign_folds(labels: IntArray, folds: int, generator: np.random.Generator) -> IntArray:
    """Return the fold of each row, at random; each class is dealt out evenly."""
    order = generator.permutation(labels.size)
    fold = np.empty(labels.size, np.int64)
    fold[order[np.argsort(labels[order], kind="stable")]] = np.arange(labels.size) % folds
    return fold
