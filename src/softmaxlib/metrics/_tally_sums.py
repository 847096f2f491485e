"""The sums of a tally over its rows, by name, and how rows are added to them."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ._bins import equal_bin_index
from ._exact_sums import ExactSums
from .cell_quantiles import LARGEST_CELL, cells_of_doubts, cells_of_scores
from .predictions import FIGURES, Floats, Predictions

# What is summed, over rows: for all together (one), each bin, each class, each pair of classes, each cell.
OF_ALL, OF_BINS, OF_CLASSES, OF_PAIRS, OF_DOUBTS = "figures", "bins", "classes", "pairs", "cells"
OF_SCORES, OF_SMOOTH = "scores", "smooth"
WEIGHT, CORRECT, LOSS, BRIER, INFINITE, SQUARES, HIT_SQUARES = range(7)
LOSS_OF_SQUARES, LOSS_SQUARED, BRIER_OF_SQUARES, BRIER_SQUARED = range(7, 11)  # of w^2 x, and of w^2 x^2

# Of a bin: the weight of its rows, of their confidence and of the right ones, the same with squared weights,
# the squares of weight times (right - confidence), and how many rows there are.
SUMS_OF_BIN = (
    "weight",
    "confidence",
    "hits",
    "squares",
    "square_confidence",
    "hit_squares",
    "residual_squares",
    "rows",
)

Sums = dict[str, ExactSums]


def sizes_of_sums(classes: int, n_bins: int) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        OF_ALL: 11,
        OF_BINS: len(SUMS_OF_BIN) * n_bins,
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
    _add_bins(sums[OF_BINS], index, n_bins, weights, confidence, correct)
    cell = cells_of_doubts(doubt)
    sums[OF_DOUBTS].weigh(cell, 2 * LARGEST_CELL, weights)
    sums[OF_DOUBTS].weigh(LARGEST_CELL + cell, 2 * LARGEST_CELL, weights, ~correct)
    sums[OF_SCORES].weigh(cells_of_scores(loss), LARGEST_CELL, weights)
    sums[OF_PAIRS].weigh(rows.labels * classes + most_likely, classes**2, weights)
    for first, some, table in rows.class_probabilities() if of_classes else ():
        if weights is not None:
            table *= weights[some]
        sums[OF_CLASSES].add_rows(table, first)


def _add_bins(
    sums: ExactSums,
    index: npt.NDArray[np.int64],
    n_bins: int,
    weights: Floats | None,
    confidence: Floats,
    correct: npt.NDArray[np.bool_],
) -> None:
    place = {name: number * n_bins for number, name in enumerate(SUMS_OF_BIN)}
    counts = np.zeros((len(SUMS_OF_BIN), n_bins), np.int64)
    of_rows = dict(zip(SUMS_OF_BIN, counts, strict=True))
    of_rows["rows"][:] = np.bincount(index, minlength=n_bins)
    residual = np.subtract(correct, confidence)
    if weights is None:
        of_rows["weight"][:] = of_rows["squares"][:] = of_rows["rows"]
        of_rows["hits"][:] = of_rows["hit_squares"][:] = np.bincount(index[correct], minlength=n_bins)
        sums.add(index, confidence, (place["confidence"], place["square_confidence"]))
    else:
        squares, size = np.square(weights), counts.size
        sums.weigh(place["weight"] + index, size, weights)
        sums.weigh(place["squares"] + index, size, squares)
        sums.weigh(place["hits"] + index, size, weights, correct)
        sums.weigh(place["hit_squares"] + index, size, squares, correct)
        sums.add(place["confidence"] + index, confidence * weights)
        sums.add(place["square_confidence"] + index, confidence * squares)
        residual *= weights
    sums.add(index, np.square(residual, out=residual), (place["residual_squares"],))
    sums.add_counts(counts.ravel())


def error_of_mean(sums: ExactSums, mean: Fraction, of_squares: int, squared: int) -> float:
    """Return the standard error of a weighted mean, by the sums of w^2 x and of w^2 x^2 of these keys."""
    squares, weight = sums.exact(SQUARES), sums.exact(WEIGHT)
    return standard_error(mean, weight, squares, sums.exact(of_squares), sums.exact(squared))


def standard_error(
    mean: Fraction, weight: Fraction, squares: Fraction, of_squares: Fraction, squared: Fraction
) -> float:
    """Return the standard error of a weighted mean, by the sums of w, w^2, w^2 x and w^2 x^2."""
    spread = squared - 2 * mean * of_squares + mean**2 * squares
    return float(max(spread, 0) / weight**2) ** 0.5


def _add_figures(
    sums: ExactSums, weights: Floats | None, correct: npt.NDArray[np.bool_], loss: Floats, brier: Floats
) -> None:
    finite = np.isfinite(loss)
    loss = loss if finite.all() else np.where(finite, loss, 0.0)
    with np.errstate(over="ignore"):
        squared = np.square(loss if weights is None else loss * weights)
    fits = np.isfinite(squared)
    squared = squared if fits.all() else np.where(fits, squared, 0.0)
    every, squares = np.ones_like(correct), None if weights is None else np.square(weights)
    if weights is None:
        sums.add_rows(loss[None], LOSS, LOSS_OF_SQUARES)
        sums.add_rows(brier[None], BRIER, BRIER_OF_SQUARES)
    else:
        loss, brier = weights * loss, weights * brier
        terms = {LOSS: loss, BRIER: brier, LOSS_OF_SQUARES: weights * loss, BRIER_OF_SQUARES: weights * brier}
        for key, values in terms.items():
            sums.add_rows(values[None], key)
    sums.add_rows(squared[None], LOSS_SQUARED)
    sums.add_rows(np.square(brier)[None], BRIER_SQUARED)
    sums.add_some(SQUARES, squares, every)
    sums.add_some(HIT_SQUARES, squares, correct)
    counts = {WEIGHT: every, CORRECT: correct, INFINITE: ~(finite & fits)}
    for key, some in counts.items():
        sums.add_some(key, weights, some)
