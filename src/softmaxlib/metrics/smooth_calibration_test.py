"""Is the smooth calibration error more than chance? It is compared with that of right probabilities."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._checks import LARGEST_REPETITIONS, RandomState, check_integer, check_random_state
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ._bins import group_sums
from ._weighted_draws import weighted_outcomes
from .calibration_test import SIMULATIONS_AT_ONCE, CalibrationTest, judged_by_chance
from .predictions import Floats, Predictions, TopLabel, top_label
from .smooth_calibration_error import CELLS, error_of_residuals


@checked_keywords
@underflow_is_zero
def smooth_calibration_test(
    logits: Array,
    labels: Array,
    /,
    *,
    simulations: int = 1000,
    random_state: RandomState = 0,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> CalibrationTest:
    """Test whether the probability of the predicted class is calibrated, without bins to choose.

    Like `calibration_test`, with `smooth_calibration_error` in place of the binned error: outcomes are drawn
    many times from the stated probabilities themselves, and the error of each draw is computed in the same
    way.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    simulations : int, default 1000
        Number of draws.
    random_state : int or numpy.random.Generator, default 0
        Seed of the draws. A generator gives the seed.
    class_names : sequence of str, optional
        One name per class, in the order of the columns, for labels that are names. By default those of a
        frame's columns, else the names found, sorted.
    sample_weight : array, shape (rows,), optional
        How often each row counts in the figures; it is one row of evidence at any weight (see Notes).
    probabilities : bool, default False
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
    rows: about 2 ms per draw. Rows with weights are drawn one by one. Where more than 2000 of them are
    expected to have the less likely outcome, rows of similar weight are drawn together.

    References
    ----------
    Błasiok, Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing" (ICLR 2024);
    Vaicenavicius et al., "Evaluating model calibration in classification" (AISTATS 2019).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities, labels = np.tile([0.8, 0.2], (10, 1)), np.array([0] * 7 + [1] * 3)
    >>> test = metrics.smooth_calibration_test(probabilities, labels, probabilities=True)
    >>> round(test.value, 6), test.p_value > 0.3
    (0.1, True)
    """
    simulations = check_integer(simulations, "simulations", lower=1, upper=LARGEST_REPETITIONS)
    seed = check_random_state(random_state)
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    top, weights = top_label(predictions), predictions.sample_weight
    cell = np.minimum((top.confidence * CELLS).astype(np.int64), CELLS - 1)
    generator = np.random.default_rng(seed)
    if weights is not None:
        return in_kind_of(logits, _weighted_test(top, cell, weights, simulations, generator))
    cells, cell, rows = np.unique(cell, return_inverse=True, return_counts=True)
    stated = np.bincount(cell, top.confidence)

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


def _weighted_test(
    top: TopLabel,
    cell: npt.NDArray[np.int64],
    weights: Floats,
    simulations: int,
    generator: np.random.Generator,
) -> CalibrationTest:
    """Test weighted rows."""
    outcomes = weighted_outcomes(cell, CELLS, top.confidence, weights)
    stated = group_sums(cell, CELLS, weights * top.confidence)
    residuals = np.bincount(cell, weights * (top.correct - top.confidence), CELLS) / weights.sum()
    null = np.empty(simulations)
    for simulation in range(simulations):
        null[simulation] = error_of_residuals((outcomes.draw(generator, 1)[0] - stated) / weights.sum())
    return judged_by_chance(error_of_residuals(residuals), null)
