"""Is the smooth calibration error more than chance? It is compared with that of right probabilities."""

import numpy as np

from .._arrays import Array
from .._checks import check_integer
from .._frameworks import in_kind_of
from ._predictions import Predictions, top_label
from .calibration_test import SIMULATIONS_AT_ONCE, CalibrationTest, judged_by_chance
from .smooth_calibration_error import CELLS, error_of_residuals


def smooth_calibration_test(
    logits: Array,
    labels: Array,
    /,
    *,
    simulations: int = 1000,
    seed: int = 0,
    from_probabilities: bool = False,
) -> CalibrationTest:
    """Test whether the probability of the predicted class is calibrated, without bins to choose.

    Like `calibration_test`, with `smooth_calibration_error` in place of the binned error: outcomes are drawn
    many times from the stated probabilities themselves, and the error of each draw is computed in the same
    way.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `from_probabilities` is true.
    labels : array of int, shape (rows,)
        The true class of each row.
    simulations : int, default 1000
        Number of draws.
    seed : int, default 0
        Seed of the draws.
    from_probabilities : bool, default False
        Whether `logits` holds probabilities.

    Returns
    -------
    CalibrationTest
        If the p-value is below 0.05, the probabilities are wrong.

    Raises
    ------
    InvalidInputError
        When `simulations` is below 1, or an input breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    Rows whose probabilities differ by at most 1/8192 are drawn together, so the time does not grow with the
    rows: about 2 ms per draw.

    References
    ----------
    Błasiok, Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing" (ICLR 2024);
    Vaicenavicius et al., "Evaluating model calibration in classification" (AISTATS 2019).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities, labels = np.tile([0.8, 0.2], (10, 1)), np.array([0] * 7 + [1] * 3)
    >>> test = metrics.smooth_calibration_test(probabilities, labels, from_probabilities=True)
    >>> round(test.value, 6), test.p_value > 0.3
    (0.1, True)
    """
    simulations = check_integer(simulations, "simulations", lower=1)
    seed = check_integer(seed, "seed", lower=0)
    top = top_label(Predictions.check(logits, labels, None, from_probabilities))
    cell = np.minimum((top.confidence * CELLS).astype(np.int64), CELLS - 1)
    cells, cell, rows = np.unique(cell, return_inverse=True, return_counts=True)
    stated = np.bincount(cell, top.confidence)
    generator = np.random.default_rng(seed)

    def errors(outcomes: np.ndarray) -> list[float]:
        residuals = np.zeros((len(outcomes), CELLS))
        residuals[:, cells] = (outcomes - stated) / cell.size
        return [error_of_residuals(one) for one in residuals]

    value = errors(np.bincount(cell, top.correct)[None, :])[0]
    null = np.empty(simulations)
    for start in range(0, simulations, SIMULATIONS_AT_ONCE):
        some = null[start : start + SIMULATIONS_AT_ONCE]
        chance = np.clip(stated / rows, 0, 1)
        some[...] = errors(generator.binomial(rows, chance, (some.size, rows.size)))
    return in_kind_of(logits, judged_by_chance(value, null))
