"""The sums that tests need, and the tests: of the calibration, and of each class."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ._bins import BinSums, bin_index
from ._exact_sums import ExactSums
from ._log_odds_grid import FINE, cells_of_log_odds
from ._poisson_binomial import Cells
from ._tally_grids import grids_of
from ._tally_sums import Sums
from ._tally_weighted_tests import (
    add_to_weighted_tests,
    cells_of_weighted_classes,
    count_levels,
    curve_weights_of_tally,
    sizes_of_weighted_test_sums,
    weighted_calibration_test_of_tally,
)
from .calibration_test import CalibrationTest, calibration_test_of_sums, fine_edges
from .cell_curves import curves_of_cells
from .class_calibration_test import ClassCalibrationTest, class_calibration_test_of_cells
from .predictions import Floats, Predictions
from .threshold_curves import PrecisionRecallCurve, RocCurve

_OF_CONFIDENCE, _OF_CLASS_CELLS = "confidence", "class_cells"
_SUMS = 3  # of a cell: rows, hits, probabilities


def sizes_of_test_sums(classes: int) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        _OF_CONFIDENCE: _SUMS * (fine_edges().size - 1),
        _OF_CLASS_CELLS: _SUMS * classes * grids_of(classes).counted.cells,
    } | sizes_of_weighted_test_sums(classes)


def add_to_tests(sums: Sums, rows: Predictions) -> None:
    """Add rows, each for one row of evidence."""
    weights = rows.sample_weight
    count_levels(sums, weights, rows.labels.size)
    if weights is not None:  # those of weight 1 are counted, as if they came without one
        others = weights != 1
        if others.any():
            weighted = rows.part(others)
            add_to_weighted_tests(sums, weighted, _columns(weighted))
        rows = rows.part(~others)
    if not rows.labels.size:
        return
    confidence, correct, edges = rows.figure("confidence"), rows.figure("correct"), fine_edges()
    _add_cells(sums[_OF_CONFIDENCE], bin_index(confidence, edges), confidence, correct, edges.size - 1)
    classes = rows.values.shape[1]
    grid = grids_of(classes).counted
    for label, _, cell, probability, hit in _columns(rows):
        place = label * grid.cells + grid.holding(FINE, cell)
        _add_cells(sums[_OF_CLASS_CELLS], place, probability, hit, classes * grid.cells)


def calibration_test_of_tally(sums: Sums, is_weighted: bool) -> CalibrationTest:
    """Return the test with default settings of the rows so far."""
    rows, hits, probabilities = sums[_OF_CONFIDENCE].array(_SUMS * (fine_edges().size - 1)).reshape(_SUMS, -1)
    counted = BinSums(rows, probabilities, hits)
    if is_weighted:
        return weighted_calibration_test_of_tally(sums, counted)
    return calibration_test_of_sums(counted)


def class_test_of_tally(
    sums: Sums, stated: Floats, observed: Floats, is_weighted: bool
) -> ClassCalibrationTest:
    """Return the test of each class on the rows so far, by its mean probability and its share of the rows."""
    counted, grids = _class_sums(sums, stated.size), grids_of(stated.size)
    if is_weighted:
        cells = cells_of_weighted_classes(sums, counted, grids)
    else:
        cells = Cells.of_class_sums(counted, grids.counted)
    return class_calibration_test_of_cells(zip(cells, stated.tolist(), strict=True), observed)


def curves_of_tally(sums: Sums) -> tuple[RocCurve, PrecisionRecallCurve] | tuple[None, None]:
    """Return the curves of the second of two classes on the rows so far."""
    return curves_of_cells(*(_class_sums(sums, 2)[1][:2] + curve_weights_of_tally(sums)))


def _class_sums(sums: Sums, classes: int) -> Floats:
    """Return what `class_sums` does, in the cells for so many classes."""
    cells = grids_of(classes).counted.cells
    table = np.zeros(_SUMS * classes * cells)
    known = sums[_OF_CLASS_CELLS].known_keys()
    table[known] = sums[_OF_CLASS_CELLS].array(known)
    return table.reshape(_SUMS, classes, cells).transpose(1, 0, 2)


def _columns(
    rows: Predictions,
) -> Iterator[tuple[int, slice, IntArray, Floats, npt.NDArray[np.bool_]]]:
    """Yield each class in some rows: the cell of its probability, this, and whether it is the true one."""
    for first, some, table in rows.class_probabilities():
        labels = rows.labels[some]
        for label, probability in enumerate(table, first):
            yield label, some, cells_of_log_odds(probability), probability, labels == label


def _add_cells(
    sums: ExactSums, place: IntArray, probability: Floats, hit: npt.NDArray[np.bool_], size: int
) -> None:
    sums.weigh(place, _SUMS * size, None)
    sums.weigh(size + place, _SUMS * size, None, hit)
    sums.add(2 * size + place, probability)
