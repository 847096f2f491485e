"""Log-odds that are equal but for rounding: they are one level, and no edge of a bin lies between them."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .one_versus_rest import Floats, log_odds

Integers = npt.NDArray[np.int64]

_OF_FLOAT32 = 2.0**-23  # two roundings of a logit, relative
_OF_NEW_ROWS = 2.0**-18  # the same of new rows, whose logits may be larger than those of the fit
_OF_FLOAT64 = 2.0**-48  # the same, and the arithmetic of log-odds, which is in float64 for both
_MOST = 2.0**-7  # of a row with huge logits: it must not take its neighbours for equal
_PART = 0.382  # of a gap between levels (golden section): where no number on a regular grid lies


class Levels(NamedTuple):
    """The levels of one class's log-odds, increasing.

    Attributes
    ----------
    place : ndarray of int64, shape (rows,)
        The level of each row.
    values : ndarray, shape (levels,)
        The middle of each level. If its rows are equal, this is their log-odds.
    edges, tops : ndarray, shape (levels,)
        Where the level begins and ends for new rows: below its lowest and above its highest row by as much as
        float32 rounds, but never as far as the next level.
    """

    place: Integers
    values: Floats
    edges: Floats
    tops: Floats

    def negated(self) -> "Levels":
        """Return the levels of the negative log-odds."""
        place = len(self.values) - 1 - self.place
        return Levels(place, -self.values[::-1], -self.tops[::-1], -self.edges[::-1])


class Distinct(NamedTuple):
    """The levels of some rows, and their outcomes.

    Attributes
    ----------
    values, edges : ndarray, shape (levels,)
        The middle of each level, and where it begins. Both are increasing.
    rows, hits : ndarray, shape (levels,)
        The total weight of its rows, and of those whose label is the class.
    """

    values: Floats
    edges: Floats
    rows: Floats
    hits: Floats


def distinct(
    levels: Levels, hit: npt.NDArray[np.bool_], weights: Floats, some: Integers | None = None
) -> Distinct:
    """Return rows of the same level taken together, so that their order can't matter.

    Parameters
    ----------
    levels
        Of all rows.
    hit, weights : ndarray, shape (rows,)
        Whether the label of a row is the class, and the weight of the row, above 0.
    some : ndarray of int, optional
        The rows that are counted.
    """
    place = levels.place
    if some is not None:
        place, hit, weights = place[some], hit[some], weights[some]
    rows = np.bincount(place, weights, len(levels.values)).astype(np.float64)
    hits = np.bincount(place, weights * hit, len(levels.values)).astype(np.float64)
    seen = rows > 0
    return Distinct(levels.values[seen], levels.edges[seen], rows[seen], hits[seen])


class Odds:
    """The log-odds of each class, and how far rounding may have moved them.

    Parameters
    ----------
    logits : ndarray, shape (rows, classes)
        Of float32, whose rounding is coarser, or float64.
    """

    def __init__(self, logits: npt.NDArray[Any]) -> None:
        self._logits, self._odds = logits, log_odds(logits)
        rows = np.arange(len(logits))
        self._top = logits.argmax(axis=1)
        others = logits.copy()
        others[rows, self._top] = -np.inf
        self._highest, self._second = logits[rows, self._top], others.max(axis=1)

    def levels(self, index: int, rows: npt.NDArray[np.bool_] | slice = slice(None)) -> Levels:
        """Return the levels of a class, of all rows or of some."""
        rival = np.where(self._top[rows] == index, self._second[rows], self._highest[rows])
        size = np.abs(self._logits[rows, index].astype(np.float64)) + np.abs(rival.astype(np.float64))
        noise = (1 + size) * _OF_FLOAT64
        margin = np.minimum(size * _OF_NEW_ROWS + noise, _MOST)
        if self._logits.dtype == np.float32:
            noise += size * _OF_FLOAT32
        return _levels(self._odds[rows, index], np.minimum(noise, _MOST), margin)


def _levels(odds: Floats, noise: Floats, margin: Floats) -> Levels:
    """Return the levels of rows with this noise, and edges at this margin."""
    if not odds.size:
        return Levels(np.zeros(0, np.int64), *[np.zeros(0)] * 3)
    order = np.argsort(odds, kind="stable")
    rising = odds[order]
    begins = beginnings(rising, noise[order])
    first = np.flatnonzero(begins)
    low, high = rising[first], rising[np.append(first[1:], odds.size) - 1]
    most = np.concatenate([[np.inf], _PART * (low[1:] - high[:-1]), [np.inf]])
    reach = np.maximum.reduceat(margin[order], first)
    place = np.empty(odds.size, np.int64)
    place[order] = np.cumsum(begins) - 1
    middle = low + (high - low) / 2
    return Levels(place, middle, low - np.minimum(reach, most[:-1]), high + np.minimum(reach, most[1:]))


def beginnings(rising: Floats, noise: Floats) -> npt.NDArray[np.bool_]:
    """Tell which rows begin a level: those farther from the row before than rounding explains.

    Many different numbers may lie that close together too. They are divided into levels as wide as rounding.

    Parameters
    ----------
    rising : ndarray, shape (rows,)
        In rising order, at least one.
    noise : ndarray, shape (rows,)
        How far rounding may have moved each of them.
    """
    begins = np.ones(rising.size, np.bool_)
    begins[1:] = np.diff(rising) > noise[1:] + noise[:-1]
    first, chain = np.flatnonzero(begins), np.cumsum(begins) - 1
    widest = np.maximum(2 * np.maximum.reduceat(noise, first), np.finfo(np.float64).tiny)
    cell = np.floor((rising - rising[first][chain]) / widest[chain])
    begins[1:] |= cell[1:] != cell[:-1]
    return begins
