"""The smooth calibration error of a tally: exact sums in the cells that the error is defined on."""

import numpy as np

from ._exact_sums import ExactSums
from .predictions import Floats, Predictions
from .smooth_calibration_error import CELLS, error_of_residuals

_WEIGHT, _HITS, _STATED = range(3)
SMOOTH_SUMS = 3 * CELLS


def add_to_smooth(sums: ExactSums, rows: Predictions) -> None:
    """Add rows of positive weights."""
    confidence, weights = rows.figure("confidence"), rows.sample_weight
    cell = np.minimum((confidence * CELLS).astype(np.int64), CELLS - 1)
    sums.weigh(_WEIGHT * CELLS + cell, SMOOTH_SUMS, weights)
    sums.weigh(_HITS * CELLS + cell, SMOOTH_SUMS, weights, rows.figure("correct"))
    sums.add(_STATED * CELLS + cell, confidence if weights is None else confidence * weights)


def smooth_error_of_tally(sums: ExactSums) -> float:
    """Return what `smooth_calibration_error` gives of all rows, but for the rounding of its sums."""
    cells = [key for key in sums.known_keys() if key < CELLS]
    weight = sum(sums.exact(cell) for cell in cells)
    residuals: Floats = np.zeros(CELLS)
    for cell in cells:
        surplus = sums.exact(_HITS * CELLS + cell) - sums.exact(_STATED * CELLS + cell)
        residuals[cell] = float(surplus / weight)
    return error_of_residuals(residuals)
