"""The sums of a tally over its rows, by name, and how rows are added to them."""

import numpy as np
import numpy.typing as npt

from ._bins import equal_bin_index
from ._exact_sums import ExactSums
from .cell_quantiles import LARGEST_CELL, cells_of_doubts, cells_of_scores
from .predictions import FIGURES, Floats, Predictions

# What is summed, over rows: for all together (one), each bin, each class, each pair of classes, each cell.
OF_ALL, OF_BINS, OF_CLASSES, OF_PAIRS, OF_DOUBTS = "figures", "bins", "classes", "pairs", "cells"
OF_SCORES = "scores"
WEIGHT, CORRECT, LOSS, LOSS_SQUARED, BRIER, INFINITE, SQUARES, HIT_SQUARES = range(8)

Sums = dict[str, ExactSums]


def sizes_of_sums(classes: int, n_bins: int) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        OF_ALL: 8,
        OF_BINS: 3 * n_bins,
        OF_CLASSES: classes,
        OF_PAIRS: classes**2,
        OF_DOUBTS: 2 * LARGEST_CELL,
        OF_SCORES: LARGEST_CELL,
    }


def add_rows(sums: Sums, rows: Predictions, n_bins: int, of_classes: bool) -> None:
    """Add rows of positive weights, but the mean probabilities of the classes only if asked for."""
    weights, classes = rows.sample_weight, rows.values.shape[1]
    most_likely, correct, confidence, doubt, loss, brier = map(rows.figure, FIGURES)
    _add_figures(sums[OF_ALL], weights, correct, loss, brier)
    index = equal_bin_index(confidence, n_bins)
    sums[OF_BINS].weigh(index, 3 * n_bins, weights)
    sums[OF_BINS].add(n_bins + index, confidence if weights is None else confidence * weights)
    sums[OF_BINS].weigh(2 * n_bins + index, 3 * n_bins, weights, correct)
    cell = cells_of_doubts(doubt)
    sums[OF_DOUBTS].weigh(cell, 2 * LARGEST_CELL, weights)
    sums[OF_DOUBTS].weigh(LARGEST_CELL + cell, 2 * LARGEST_CELL, weights, ~correct)
    sums[OF_SCORES].weigh(cells_of_scores(loss), LARGEST_CELL, weights)
    sums[OF_PAIRS].weigh(rows.labels * classes + most_likely, classes**2, weights)
    for first, some, table in rows.class_probabilities() if of_classes else ():
        if weights is not None:
            table *= weights[some]
        sums[OF_CLASSES].add_rows(table, first)


def _add_figures(
    sums: ExactSums, weights: Floats | None, correct: npt.NDArray[np.bool_], loss: Floats, brier: Floats
) -> None:
    finite = np.isfinite(loss)
    loss = loss if finite.all() else np.where(finite, loss, 0.0)
    with np.errstate(over="ignore"):
        squared = loss * loss if weights is None else loss * loss * weights
    fits = np.isfinite(squared)
    squared = squared if fits.all() else np.where(fits, squared, 0.0)
    known = (loss, brier) if weights is None else (weights * loss, weights * brier)
    for key, values in zip((LOSS, LOSS_SQUARED, BRIER), (known[0], squared, known[1]), strict=True):
        sums.add_rows(values[None], key)
    every, squares = np.ones_like(correct), None if weights is None else np.square(weights)
    sums.add_some(SQUARES, squares, every)
    sums.add_some(HIT_SQUARES, squares, correct)
    counts = {WEIGHT: every, CORRECT: correct, INFINITE: ~(finite & fits)}
    for key, some in counts.items():
        sums.add_some(key, weights, some)
