"""Cross-fitting: judge a calibration on rows that it did not see, if none were held out."""

import copy
import warnings
from typing import NamedTuple

import numpy as np

from .._arrays import FloatArray
from ..calibration import Calibration
from ..errors import SoftmaxlibWarning
from .rows import FitRows

_FOLDS = 3
_MOST_ROWS_TO_MEASURE = 50_000


class CalibratedRows(NamedTuple):
    """Rows, and their logits after calibration."""

    rows: FitRows
    after: FloatArray


def cross_fitted(calibration: Calibration, rows: FitRows, seed: int) -> CalibratedRows:
    """Calibrate each row by a fit that did not see it; the order of the rows changes."""
    order = np.random.default_rng(seed).permutation(len(rows.labels))[:_MOST_ROWS_TO_MEASURE]
    rows = rows.some(order)
    if len(order) < _FOLDS:
        return CalibratedRows(rows, calibration.transform(rows.values))
    calibration = calibration.chosen  # to choose again in each fold takes minutes
    after = np.empty_like(rows.values)
    fold = np.arange(len(order)) % _FOLDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)  # the fit on all rows has said it already
        for number in range(_FOLDS):
            held_out = fold == number
            others = rows.some(~held_out)
            fitted = copy.deepcopy(calibration).fit(others.values, others.labels, others.weights)
            after[held_out] = fitted.transform(rows.values[held_out])
    return CalibratedRows(rows, after)
