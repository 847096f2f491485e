"""How a calibration does on rows that it did not see, where no rows were kept back."""

import copy
import warnings

import numpy as np

from .._arrays import FloatArray, IntArray
from ..calibration import Calibration
from ..errors import SoftmaxlibWarning

_FOLDS = 3
_MOST_ROWS_TO_MEASURE = 50_000


def cross_fitted(
    calibration: Calibration, values: FloatArray, truth: IntArray, seed: int
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Logits before and after, each row calibrated by a fit that did not see it, and the labels."""
    order = np.random.default_rng(seed).permutation(len(truth))[:_MOST_ROWS_TO_MEASURE]
    values, truth = values[order], truth[order]
    if len(truth) < _FOLDS:
        return values, calibration.transform(values), truth
    calibration = calibration.chosen  # to choose again in each fold takes minutes
    after = np.empty_like(values)
    fold = np.arange(len(truth)) % _FOLDS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftmaxlibWarning)  # the fit on all rows has said it already
        for number in range(_FOLDS):
            held_out = fold == number
            fitted = copy.deepcopy(calibration).fit(values[~held_out], truth[~held_out])
            after[held_out] = fitted.transform(values[held_out])
    return values, after, truth
