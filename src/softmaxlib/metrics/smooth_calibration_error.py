"""Smooth calibration error: no bins to choose."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._arrays import Array
from .._checks import check_choice
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from .calibration_error import SCOPES
from .predictions import Floats, Predictions, top_label

CELLS = 8192
_TOLERANCE = 1e-9


@checked_keywords
@underflow_is_zero
def smooth_calibration_error(
    logits: Array,
    labels: Array,
    /,
    *,
    scope: str = "top_label",
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> float:
    r"""Compute the smooth calibration error (smECE), which has no bins.

    Smaller is better, in [0, 1]. Unlike `calibration_error` it is continuous in the probabilities, has no
    number of bins to choose, and lies within a constant factor of the distance to the nearest perfectly
    calibrated probabilities. It is biased upwards too, less than the binned error with 15 bins.

    With the residuals :math:`y_i - p_i` smoothed by a Gaussian kernel reflected at 0 and 1,

    .. math:: \text{smECE}_\sigma = \int_0^1 \Big| \frac{1}{n} \sum_i (y_i - p_i) K_\sigma(t, p_i) \Big| dt

    is taken at the width :math:`\sigma` that equals its own error.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    scope : {"top_label", "classwise"}, default "top_label"
        As in `calibration_error`; "classwise" is the mean over the classes.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts.
    probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    float
        In [0, 1], to about 1e-4 of the integral: probabilities are rounded to the middle of 8192 cells.

    Raises
    ------
    InvalidInputError
        When `scope` is not one of those named, or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    relplot, by the authors of the paper, and probmetrics, which calls it, split a row between two nodes of a
    grid of 1e-3. They reflect a node at 0 or 1 once, where the integral reflects it twice, so confidences
    within 1e-3 of 1 count about half. A network that is certain of a third of its rows scores 0.0106 there
    and 0.0099 here. Without such rows the figures agree to 1e-3, the precision of relplot's width.

    References
    ----------
    Błasiok, Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing" (ICLR 2024).

    Examples
    --------
    Ten rows state 0.8, and seven of them are right:

    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities = np.tile([0.8, 0.2], (10, 1))
    >>> labels = [0] * 7 + [1] * 3
    >>> round(metrics.smooth_calibration_error(probabilities, labels, probabilities=True), 6)
    0.1
    """
    check_choice(scope, "scope", SCOPES)
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    if scope == "top_label":
        top = top_label(predictions)
        return _smooth_error(top.confidence, top.correct, predictions.weights)
    return float(
        np.mean(
            [
                _smooth_error(probability, predictions.labels == label, predictions.weights)
                for label, probability in enumerate(predictions.columns())
            ]
        )
    )


def _smooth_error(probability: Floats, outcome: np.ndarray, weights: Floats) -> float:
    cell = np.minimum((probability * CELLS).astype(np.int64), CELLS - 1)
    residuals = np.bincount(cell, weights * (outcome - probability), CELLS).astype(np.float64)
    return error_of_residuals(residuals / weights.sum())


def error_of_residuals(residuals: Floats) -> float:
    """Return the smooth error of the sums of (outcome - probability) / rows in each cell, shape (CELLS,)."""
    from scipy.fft import dct
    from scipy.optimize import brentq

    frequencies = np.asarray(dct(residuals, type=2))
    if not residuals.any():
        return 0.0
    root: Any = brentq(lambda width: _error_at(frequencies, width) - width, 0.0, 1.0, xtol=_TOLERANCE)
    return float(root)


def _error_at(frequencies: Floats, width: float) -> float:
    """Return the smoothed error: a reflected Gaussian is a product in the cosine transform."""
    from scipy.fft import idct

    damped = frequencies * np.exp(-((np.pi * width * np.arange(CELLS)) ** 2) / 2)
    return float(np.abs(np.asarray(idct(damped, type=2))).sum())
