"""Is the calibration error more than chance? It is compared with that of right probabilities."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array
from .._checks import LARGEST_REPETITIONS, RandomState, check_integer, check_random_state
from .._frameworks import in_kind_of
from .._renamed import checked_keywords
from .._text import brief_repr
from .._underflow import underflow_is_zero
from ._bins import BinSums, bin_index, top_label_sums
from ._weighted_draws import WeightedOutcomes, weighted_outcomes
from .calibration_error import EQUAL_EDGES, Setting, binned, check_setting, error_of_sums, join_classes
from .predictions import Floats, Predictions, top_label

# Rows of a bin whose probabilities lie in one cell are drawn together. It is at most 1/2048 of a probability
# wide, or 1/128 of the angle of its square root, by which the variance of each grows by the same share.
_CELLS, _WEIGHTED_CELLS = 2048, 256
_CELLS_OF_ANGLE = 128
SIMULATIONS_AT_ONCE = 64
_MOST_AT_ONCE = 1000  # of one cell after the other: a draw is quick after another of the same law

_Draw = Callable[[np.random.Generator, int], npt.NDArray[Any]]


class CalibrationTest(NamedTuple):
    """A calibration error, and its distribution under perfect calibration.

    Attributes
    ----------
    value : float
        The calibration error.
    p_value : float
        How often perfect calibration would give an error at least as large. Below 0.05, the probabilities
        are wrong. It is at least 1 / (simulations + 1).
    expected : float
        The mean of `null`: the error that chance alone explains.
    null : ndarray, shape (simulations,)
        The errors under perfect calibration, in rising order.
    """

    value: float
    p_value: float
    expected: float
    null: Floats

    __repr__ = brief_repr


def judged_by_chance(value: float, null: Floats) -> CalibrationTest:
    """Return the test of an error against those of the simulations, in any order."""
    # the same figure of the same sums, but for rounding: 1e-12 makes them equal
    as_large = int(np.count_nonzero(null >= value - 1e-12))
    null = np.sort(null)
    return CalibrationTest(value, (1 + as_large) / (1 + null.size), float(null.mean()), null)


@checked_keywords
@underflow_is_zero
def calibration_test(
    logits: Array,
    labels: Array,
    /,
    *,
    scope: str = "top_label",
    norm: str = "l1",
    binning: str = "equal_width",
    n_bins: int = 15,
    debiased: bool = False,
    simulations: int = 1000,
    random_state: RandomState = 0,
    class_names: Sequence[str] | None = None,
    sample_weight: Array | None = None,
    probabilities: bool = False,
) -> CalibrationTest:
    """Test whether the probabilities are calibrated.

    A calibration error is above 0 even for perfect probabilities. So labels are drawn many times from the
    stated probabilities themselves, and `calibration_error` is computed for each draw. A model is badly
    calibrated if its error is larger than nearly all of these.

    Parameters
    ----------
    logits : array, shape (rows, classes)
        Logits, or probabilities when `probabilities` is true.
    labels : array_like of int or str, shape (rows,)
        The true class of each row.
    scope, norm, binning, n_bins, debiased
        As in `calibration_error`.
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

    Raises
    ------
    InvalidInputError
        When an option is not one of those of `calibration_error`, `simulations` is below 1, or an input
        breaks a rule of `softmaxlib.metrics`.

    Notes
    -----
    For the top label, rows whose probabilities differ by at most 1/2048 are drawn together: the mean is
    exact, the variance too large by at most 0.05 percent, and the time does not grow with the rows. With
    ``scope="classwise"`` every label is drawn, and the time grows with rows times simulations, about 0.1 us
    each. The mean over the classes hides a rare class: `class_calibration_test` judges each by itself.

    With weights, each row still has one outcome, which is drawn once, and the error of the draw is weighted
    as the observed one is. So the test stays exact, ten times the weights prove no more, and equal weights
    are no weights. A row that stands in the data twice has two outcomes instead. For the top label,
    rows with weights are drawn one by one. Where more than 2000 of them are expected to have the less likely
    outcome, rows of similar weight are drawn together.

    References
    ----------
    Vaicenavicius et al., "Evaluating model calibration in classification" (AISTATS 2019); Bröcker, Smith,
    "Increasing the reliability of reliability diagrams", Weather and Forecasting 22 (2007).

    Examples
    --------
    Ten rows state 0.8 and seven are right, which proves little; a thousand such rows are evidence:

    >>> import numpy as np
    >>> from softmaxlib import metrics
    >>> probabilities, labels = np.tile([0.8, 0.2], (10, 1)), np.array([0] * 7 + [1] * 3)
    >>> metrics.calibration_test(probabilities, labels, probabilities=True).p_value > 0.3
    True
    >>> many = np.tile(probabilities, (100, 1)), np.tile(labels, 100)
    >>> metrics.calibration_test(*many, probabilities=True).p_value < 0.01
    True
    """
    setting = check_setting(Setting(scope, norm, binning, n_bins, debiased))
    simulations = check_integer(simulations, "simulations", lower=1, upper=LARGEST_REPETITIONS)
    seed = check_random_state(random_state)
    predictions = Predictions.check(logits, labels, sample_weight, probabilities, class_names=class_names)
    if setting.debiased:
        predictions.warn_of_few_counted("calibration_test with debiased=True")
    return in_kind_of(logits, calibration_test_of(predictions, setting, simulations, seed))


def calibration_test_of(
    predictions: Predictions,
    setting: Setting = Setting(),  # noqa: B008  (it can't be changed)
    simulations: int = 1000,
    seed: int = 0,
) -> CalibrationTest:
    """Return the test of checked predictions."""
    generator = np.random.default_rng(seed)
    every = list(binned(predictions, setting))
    observed = BinSums(*(np.stack(column) for column in zip(*(sums for _, sums in every), strict=True)))
    if setting.scope == "top_label":
        drawn = _draw_outcomes(*_cells(predictions, every[0][0]), simulations, setting, generator)
    else:
        drawn = _draw_labels(predictions, [edges for edges, _ in every], simulations, setting, generator)
    value = float(join_classes(error_of_sums(observed, setting), setting.norm))
    return judged_by_chance(value, _errors(observed, drawn, setting))


def _errors(observed: BinSums, drawn: npt.NDArray[Any], setting: Setting) -> Floats:
    """Return the error of each draw, shape (simulations, classes, bins) to (simulations,)."""
    errors = np.empty(drawn.shape[0])
    for start in range(0, errors.size, SIMULATIONS_AT_ONCE):
        some = slice(start, start + SIMULATIONS_AT_ONCE)
        sums = observed._replace(outcome=drawn[some].astype(np.float64))
        errors[some] = join_classes(error_of_sums(sums, setting), setting.norm)
    return errors


@lru_cache
def fine_edges() -> Floats:
    """Return the edges of confidence of the sums that `calibration_test_of_sums` takes."""
    return _fine(EQUAL_EDGES, _CELLS)


def calibration_test_of_sums(sums: BinSums, simulations: int = 1000, seed: int = 0) -> CalibrationTest:
    """Run the test with default settings on sums of unweighted rows between `fine_edges`."""
    cells = _cells_of_sums(sums, fine_edges(), EQUAL_EDGES)
    return _test_of_sums(sums, fine_edges(), cells, simulations, seed)


@lru_cache
def weighted_edges() -> Floats:
    """Return the edges of confidence of the sums that `calibration_test_of_weighted_sums` takes."""
    return _fine(EQUAL_EDGES, _WEIGHTED_CELLS)


def calibration_test_of_weighted_sums(
    sums: BinSums, outcomes: WeightedOutcomes, simulations: int = 1000, seed: int = 0
) -> CalibrationTest:
    """Run the same on sums of weighted rows between `weighted_edges`, the groups of the outcomes."""
    edges = weighted_edges()
    return _test_of_sums(sums, edges, _cells_of_weighted(outcomes, edges, EQUAL_EDGES), simulations, seed)


def _test_of_sums(
    sums: BinSums,
    fine: Floats,
    cells: tuple[_Draw, npt.NDArray[np.int64]],
    simulations: int,
    seed: int,
) -> CalibrationTest:
    setting = Setting()
    index = bin_index(fine[1:], EQUAL_EDGES)
    summed = [np.bincount(index, one, setting.n_bins)[None] for one in sums]
    observed = BinSums(*(one.astype(np.float64, copy=False) for one in summed))
    drawn = _draw_outcomes(*cells, simulations, setting, np.random.default_rng(seed))
    value = float(join_classes(error_of_sums(observed, setting), setting.norm))
    return judged_by_chance(value, _errors(observed, drawn, setting))


def _draw_outcomes(
    draw: _Draw,
    bins: npt.NDArray[np.int64],
    simulations: int,
    setting: Setting,
    generator: np.random.Generator,
) -> npt.NDArray[Any]:
    """Return the weight of the rows of each bin that turn out true, shape (simulations, 1, bins)."""
    drawn = np.zeros((simulations, 1, setting.n_bins))
    bins, first = np.unique(bins, return_index=True)
    for start in range(0, simulations, _MOST_AT_ONCE):
        some = drawn[start : start + _MOST_AT_ONCE, 0]
        some[:, bins] = np.add.reduceat(draw(generator, some.shape[0]), first, axis=0).T
    return drawn


def _cells(predictions: Predictions, edges: Floats) -> tuple[_Draw, npt.NDArray[np.int64]]:
    """Return the drawn hits of cells, shape (cells, draws), and the bin of each cell, in ascending order."""
    weights = predictions.sample_weight
    if weights is not None:
        probability = top_label(predictions).confidence
        fine = _fine(edges, _WEIGHTED_CELLS)
        found = weighted_outcomes(bin_index(probability, fine), fine.size - 1, probability, weights)
        return _cells_of_weighted(found, fine, edges)
    fine = _fine(edges, _CELLS)
    return _cells_of_sums(top_label_sums(predictions, fine, fine.size - 1), fine, edges)


def _fine(edges: Floats, cells: int) -> Floats:
    """Return the edges of the bins, and those of the cells within them."""
    return np.union1d(edges, np.arange(cells + 1) / cells)


def _cells_of_weighted(
    outcomes: WeightedOutcomes, fine: Floats, edges: Floats
) -> tuple[_Draw, npt.NDArray[np.int64]]:
    """Do as `_cells`, by the outcomes of weighted rows, whose groups lie between the fine edges."""
    return lambda generator, count: outcomes.draw(generator, count).T, bin_index(fine[1:], edges)


def _cells_of_sums(sums: BinSums, fine: Floats, edges: Floats) -> tuple[_Draw, npt.NDArray[np.int64]]:
    """Do as `_cells`, by the sums of unweighted rows between the fine edges."""
    filled = sums.weight > 0
    rows, total = sums.weight[filled], sums.probability[filled]
    index = bin_index(fine[1:][filled], edges)
    angle = np.arcsin(np.sqrt(np.clip(total / rows, 0, 1))) / (np.pi / 2)
    place = index * (_CELLS_OF_ANGLE + 1) + (angle * _CELLS_OF_ANGLE).astype(np.int64)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    rows, total = np.add.reduceat(rows, first), np.add.reduceat(total, first)
    size, chance = rows.astype(np.int64)[:, None], np.clip(total / rows, 0, 1)[:, None]

    def draw(generator: np.random.Generator, count: int) -> npt.NDArray[Any]:
        return generator.binomial(size, chance, (size.size, count))

    return draw, index[first]


def _draw_labels(
    predictions: Predictions,
    edges: list[Floats],
    simulations: int,
    setting: Setting,
    generator: np.random.Generator,
) -> npt.NDArray[Any]:
    """Return how often each class's label falls into each of its bins: (simulations, classes, bins)."""
    classes, weights = len(edges), predictions.sample_weight
    drawn = np.zeros((simulations, classes * setting.n_bins), np.int32 if weights is None else np.float64)
    for rows, block in predictions.probabilities():
        of_rows = None if weights is None else weights[rows]
        row = np.arange(block.shape[0])
        index = np.empty(block.shape, np.int32)
        for label in range(classes):
            index[:, label] = bin_index(block[:, label], edges[label]) + label * setting.n_bins
        cumulated = np.cumsum(block, axis=1)
        # one rising sequence for all rows: row i's classes end at i + cumulated probability
        ends = (cumulated / cumulated[:, -1:] + row[:, None]).ravel()
        for simulation in drawn:
            position = np.searchsorted(ends, row + generator.random(row.size), side="right")
            chosen = index.ravel()[np.minimum(position, ends.size - 1)]
            simulation += np.bincount(chosen, of_rows, simulation.size).astype(drawn.dtype)
    return drawn.reshape(simulations, classes, setting.n_bins)
