"""The sums that tests need, and the tests: of the calibration, and of each class."""

from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ._bins import BinSums, bin_index
from ._exact_sums import ExactSums
from ._poisson_binomial import CELLS_OF_LOG_ODDS, LOWEST_CELL
from ._tally_sums import Sums
from .calibration_test import CalibrationTest, calibration_test_of_sums, fine_edges
from .cell_curves import curves_of_cells
from .class_calibration_test import ClassCalibrationTest, class_calibration_test_of_sums
from .predictions import Floats, Predictions
from .threshold_curves import PrecisionRecallCurve, RocCurve

MOST_CLASSES = 64  # of more, the cells take too much memory
_OF_CONFIDENCE, _OF_CLASS_CELLS = "confidence", "class_cells"
_CELLS = 2 * LOWEST_CELL + 1
_SUMS = 3  # of a cell: rows, hits, probabilities


def sizes_of_test_sums(classes: int) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        _OF_CONFIDENCE: _SUMS * (fine_edges().size - 1),
        _OF_CLASS_CELLS: _SUMS * classes * _CELLS,
    }


def add_to_tests(sums: Sums, rows: Predictions) -> None:
    """Add rows, each for one row of evidence."""
    confidence, correct, edges = rows.figure("confidence"), rows.figure("correct"), fine_edges()
    _add_cells(sums[_OF_CONFIDENCE], bin_index(confidence, edges), confidence, correct, edges.size - 1)
    size = rows.values.shape[1] * _CELLS
    for first, some, table in rows.class_probabilities():
        labels = rows.labels[some]
        for label, probability in enumerate(table, first):
            place = label * _CELLS + cells_of_log_odds(probability)
            _add_cells(sums[_OF_CLASS_CELLS], place, probability, labels == label, size)


def calibration_test_of_tally(sums: Sums) -> CalibrationTest:
    """Return the test with default settings of the rows so far."""
    rows, hits, probabilities = sums[_OF_CONFIDENCE].array(_SUMS * (fine_edges().size - 1)).reshape(_SUMS, -1)
    return calibration_test_of_sums(BinSums(rows, probabilities, hits))


def class_test_of_tally(sums: Sums, classes: int) -> ClassCalibrationTest:
    """Return the test of each class on the rows so far."""
    return class_calibration_test_of_sums(_class_sums(sums, classes))


def curves_of_tally(sums: Sums) -> tuple[RocCurve, PrecisionRecallCurve] | tuple[None, None]:
    """Return the curves of the second of two classes on the rows so far."""
    return curves_of_cells(*_class_sums(sums, 2)[1][:2])


def _class_sums(sums: Sums, classes: int) -> Floats:
    """Return what `class_sums` does."""
    table = np.zeros(_SUMS * classes * _CELLS)
    known = sums[_OF_CLASS_CELLS].known_keys()
    table[known] = sums[_OF_CLASS_CELLS].array(known)
    return table.reshape(_SUMS, classes, _CELLS).transpose(1, 0, 2)


def cells_of_log_odds(probability: Floats) -> IntArray:
    """Return the cell of each probability, those of `class_sums`, with the same bits on every machine."""
    edges = _edges()
    rest = 1 - probability
    low = np.searchsorted(np.append(edges[1:], 0.5), probability, side="right")
    high = _CELLS - 1 - np.searchsorted(edges, rest, side="left")
    return np.where(probability <= rest, low, high)


@lru_cache
def _edges() -> Floats:
    """Return the probabilities below 1/2 on the edges between cells, each rounded once."""
    with localcontext() as context:
        context.prec = 40
        steps = range(LOWEST_CELL, 0, -1)
        return np.array([float(1 / (1 + (Decimal(step) / CELLS_OF_LOG_ODDS).exp())) for step in steps])


def _add_cells(
    sums: ExactSums, place: IntArray, probability: Floats, hit: npt.NDArray[np.bool_], size: int
) -> None:
    sums.weigh(place, _SUMS * size, None)
    sums.weigh(size + place, _SUMS * size, None, hit)
    sums.add(2 * size + place, probability)
