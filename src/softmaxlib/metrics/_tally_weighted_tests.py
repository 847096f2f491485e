"""The tests of a tally for rows with weights: sums by the level of the weight."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ._bins import BinSums, bin_index, group_sums
from ._log_odds_grid import FINE
from ._poisson_binomial import Cells
from ._tally_grids import Grids, grids_of
from ._tally_sums import Sums
from ._weight_levels import (
    LEAST_LEVEL,
    LEVELS,
    add_leveled,
    leveled_rows,
    mean_weights,
    quarter_levels,
    size_of_leveled,
)
from ._weighted_draws import WeightedCells, weighted_terms
from .calibration_test import (
    CalibrationTest,
    calibration_test_of_weighted_sums,
    fine_edges,
    weighted_edges,
)
from .predictions import Floats, Predictions

_OF_CONFIDENCE, _OF_CLASS_CELLS = "weighted_confidence", "weighted_class_cells"
_OF_LEVELS, _OF_CURVE = "weight_levels", "curve_weights"
_SUMS = 3  # of a cell of a class, and a level: rows, hits, probabilities

Columns = Iterable[tuple[int, slice, IntArray, Floats, npt.NDArray[np.bool_]]]


def sizes_of_weighted_test_sums(classes: int) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        _OF_LEVELS: size_of_leveled(1),
        _OF_CONFIDENCE: _places() * (2 + 4 * LEVELS),
        _OF_CLASS_CELLS: _SUMS * classes * grids_of(classes).weighted.cells * LEVELS,
        _OF_CURVE: 2 * FINE.cells if classes == 2 else 0,
    }


def count_levels(sums: Sums, weights: Floats | None, rows: int) -> None:
    """Count rows by the level of their weight."""
    levels = None if weights is None else quarter_levels(weights)
    add_leveled(sums[_OF_LEVELS], np.zeros(rows, np.int64), 1, weights, levels)


def add_to_weighted_tests(sums: Sums, rows: Predictions, columns: Columns) -> None:
    """Add rows whose weights are not 1, and the columns of their classes."""
    weights = rows.weights
    levels = quarter_levels(weights) - LEAST_LEVEL
    _add_confidence(sums, rows, weights, levels)
    of_cells, of_curve = sums[_OF_CLASS_CELLS], sums[_OF_CURVE]
    classes = rows.values.shape[1]
    grid = grids_of(classes).weighted
    size = classes * grid.cells * LEVELS
    for label, some, cell, probability, hit in columns:
        place = (label * grid.cells + grid.holding(FINE, cell)) * LEVELS + levels[some]
        of_cells.weigh(place, _SUMS * size, None)
        of_cells.weigh(size + place, _SUMS * size, None, hit)
        of_cells.add(2 * size + place, probability)
        if classes == 2 and label == 1:
            of_curve.weigh(cell, 2 * FINE.cells, weights[some])
            of_curve.weigh(FINE.cells + cell, 2 * FINE.cells, weights[some], hit)


def weighted_calibration_test_of_tally(sums: Sums, counted: BinSums) -> CalibrationTest:
    """Return the test by the sums, and by those of the rows of weight 1 between `fine_edges`."""
    places, found = _places(), sums[_OF_CONFIDENCE]
    key = _first_block(found.known_keys(), 2 * places, places * LEVELS)
    columns = [found.array((2 * places + number * places * LEVELS + key).tolist()) for number in range(4)]
    index = bin_index(fine_edges()[1:], weighted_edges())
    rows, stated, hits = counted
    of_ones = [group_sums(index, places, one) for one in (rows, stated, rows, stated)]
    filled = np.flatnonzero(of_ones[0])
    key, columns = _joined(
        [key, filled * LEVELS - LEAST_LEVEL],
        [np.concatenate([one, other[filled]]) for one, other in zip(columns, of_ones, strict=True)],
    )
    group = key // LEVELS
    cells = WeightedCells.of_sums(group, places, columns[0].astype(np.int64), *columns[1:])
    weight, of_right = found.array(2 * places).reshape(2, places)
    observed = BinSums(
        weight + of_ones[0],
        group_sums(group, places, columns[1]),
        of_right + group_sums(index, places, hits),
    )
    return calibration_test_of_weighted_sums(observed, cells)


def cells_of_weighted_classes(sums: Sums, counted: Floats, grids: Grids) -> Iterator[Cells]:
    """Yield the cells of one class after the other; each level is taken for rows of its mean weight.

    `counted` are the `class_sums` of the rows of weight 1, in their cells.
    """
    of_level = mean_weights(leveled_rows(sums[_OF_LEVELS], 1))
    found, of_class = sums[_OF_CLASS_CELLS], grids.weighted.cells * LEVELS
    size = len(counted) * of_class
    known = _first_block(found.known_keys(), 0, size)
    ends = np.searchsorted(known, np.arange(len(counted) + 1) * of_class)
    for label, of_ones in enumerate(counted):
        key = known[ends[label] : ends[label + 1]]
        filled = np.flatnonzero(of_ones[0])
        ones = grids.weighted.holding(grids.counted, filled) * LEVELS - LEAST_LEVEL
        key, (rows, hits, total) = _joined(
            [key - label * of_class, ones],
            [
                np.concatenate([found.array((number * size + key).tolist()), of_ones[number, filled]])
                for number in range(_SUMS)
            ],
        )
        cell, level = np.divmod(key, LEVELS)
        weight = np.array([of_level[one] for one in (level + LEAST_LEVEL).tolist()])
        counts = rows.astype(np.int64), hits.astype(np.int64)
        edge = cell - grids.weighted.lowest
        yield Cells.of_levels(edge, grids.weighted.steps, weight, *counts, total)


def curve_weights_of_tally(sums: Sums) -> Floats:
    """Return the weight of the rows, and of the hits, of the second class in each cell of `FINE`."""
    return sums[_OF_CURVE].array(2 * FINE.cells).reshape(2, -1)


def _add_confidence(sums: Sums, rows: Predictions, weights: Floats, levels: IntArray) -> None:
    places, found = _places(), sums[_OF_CONFIDENCE]
    confidence, size = rows.figure("confidence"), places * (2 + 4 * LEVELS)
    place = bin_index(confidence, weighted_edges())
    found.weigh(place, size, weights)
    found.weigh(places + place, size, weights, rows.figure("correct"))
    cell = 2 * places + place * LEVELS + levels
    found.weigh(cell, size, None)
    for number, terms in enumerate(weighted_terms(confidence, weights), start=1):
        found.add(number * places * LEVELS + cell, terms)


def _places() -> int:
    return weighted_edges().size - 1


def _first_block(known: list[int], start: int, size: int) -> IntArray:
    """Return the known keys of one block, counted from its start."""
    keys = np.array(known, dtype=np.int64) - start
    return keys[(keys >= 0) & (keys < size)]


def _joined(keys: list[IntArray], columns: list[Floats]) -> tuple[IntArray, list[Floats]]:
    """Return each key once, with the sum of each column."""
    names, place = np.unique(np.concatenate(keys), return_inverse=True)
    return names, [group_sums(place, names.size, column) for column in columns]
