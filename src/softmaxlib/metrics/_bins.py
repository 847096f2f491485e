"""Bins of a probability, of equal width or of equal mass, and sums over the rows of each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _kernels
from .._checks import check_choice, check_integer
from .order import rising_order
from .predictions import Floats, Predictions

BINNINGS = ("equal_width", "equal_mass")
_MOST_BINS = 1000


class BinSums(NamedTuple):
    """Sums over the rows of each bin, empty ones included: arrays of shape (..., bins)."""

    weight: Floats
    probability: Floats
    outcome: Floats


def check_bins(n_bins: int, binning: str) -> int:
    """Reject an unknown binning and more bins than memory may hold; the number of bins as an int."""
    check_choice(binning, "binning", BINNINGS)
    return check_integer(n_bins, "n_bins", lower=1, upper=_MOST_BINS)


def bin_edges(probability: Floats, weights: Floats | None, bins: int, binning: str) -> Floats:
    """Return the edges 0 = e_0 < ... < e_m = 1; a bin is (e_j, e_{j+1}], the first one [0, e_1].

    Bins of equal mass end at quantiles. Rows of the same probability are never parted, so that there may be
    fewer bins than asked for.
    """
    if binning == "equal_width":
        return np.linspace(0.0, 1.0, bins + 1)
    order = rising_order(probability)
    cumulated = np.arange(1.0, order.size + 1) if weights is None else np.cumsum(weights[order])
    targets = cumulated[-1] * np.arange(1, bins) / bins
    # a hair below, because the cumulated weights carry rounding errors
    inner = probability[order[np.searchsorted(cumulated, targets * (1 - 1e-12))]]
    inner = np.unique(inner)
    return np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])


def bin_index(probability: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    """Return the bin of each probability."""
    return np.searchsorted(edges[1:-1], probability, side="left")


def equal_bin_index(probability: Floats, bins: int) -> npt.NDArray[np.int64]:
    """Return the same for bins of equal width, quicker."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.minimum(probability * bins, bins - 1).astype(np.int64)  # a rounding may be one off
    index -= probability <= edges[index]
    index += probability > edges[index + 1]
    return np.maximum(index, 0, out=index)


def sum_bins(
    index: npt.NDArray[np.int64], bins: int, probability: Floats, outcome: npt.NDArray, weights: Floats
) -> BinSums:
    """Return sums over the rows of each bin."""
    return BinSums(
        *(group_sums(index, bins, values) for values in (weights, weights * probability, weights * outcome))
    )


def sum_within(
    edges: Floats, bins: int, probability: Floats, outcome: npt.NDArray[np.bool_], weights: Floats | None
) -> BinSums:
    """Return sums over the rows of each bin between the edges, padded with empty bins up to `bins`."""
    sums = np.zeros((len(BinSums._fields), bins))
    sums[:, : edges.size - 1] = column_sums(edges, probability, weights, outcome)
    return BinSums(*sums)


def column_sums(
    edges: Floats, values: Floats, weights: Floats | None, *columns: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return sums over the rows of each bin (b, c] of values, with their weights.

    Parameters
    ----------
    edges : array (bins + 1,)
        In rising order. Values beyond them are in the first bin and the last.
    values : array (rows,)
        What is binned.
    weights : array (rows,), or None
        How often each row counts.
    *columns : arrays of bool or float64 (rows,)
        At most three.

    Returns
    -------
    array (2 + columns, bins)
        Of the weights, of the weighted values, and of each weighted column.
    """
    parts = _kernels.sum_bins(
        np.ascontiguousarray(values), weights, edges, tuple(map(np.ascontiguousarray, columns))
    )
    return np.frombuffer(parts).reshape(2 + len(columns), -1)


def closed_below(edges: Floats) -> Floats:
    """Return edges for `column_sums` with which a value on an inner edge is in the bin above it."""
    return np.concatenate([edges[:1], np.nextafter(edges[1:-1], -np.inf), edges[-1:]])


def find_confidence_sums(
    predictions: Predictions, summed: Sequence[Floats], counted: Sequence[Floats] = ()
) -> None:
    """Sum the rows between several sets of edges of their highest probability, looking at each row once.

    The edges go from 0 to 1. The sums between `summed` are kept for `confidence_sums`, and those between all
    edges for `confidence_counts`. Rows with weights are left to these.
    """
    if predictions.sample_weight is not None:
        return
    summed = [edges for edges in summed if (edges.tobytes(), True) not in predictions.sums]
    counted = [edges for edges in counted if (edges.tobytes(), False) not in predictions.sums]
    every = (*summed, *counted)
    if every:
        rows = predictions.figure("confidence"), predictions.figure("correct")
        found = _kernels.sum_bin_sets(*rows, every, len(summed))
        for place, (edges, sums) in enumerate(zip(every, found, strict=True)):
            of_bins = np.frombuffer(sums).reshape(-1, edges.size - 1)
            predictions.sums[edges.tobytes(), False] = of_bins[[0, -1]]
            if place < len(summed):
                predictions.sums[edges.tobytes(), True] = of_bins


def confidence_sums(predictions: Predictions, edges: Floats) -> Floats:
    """Return sums over the rows whose highest probability is in each bin, (3, bins), cached.

    Of their weights, of these times the probability, and of the weights of those that are right.
    """
    key = (edges.tobytes(), True)
    if key not in predictions.sums:
        if predictions.sample_weight is None:
            find_confidence_sums(predictions, [edges])
        else:
            rows = predictions.figure("confidence"), predictions.sample_weight, predictions.figure("correct")
            predictions.sums[key] = column_sums(edges, *rows)
    return predictions.sums[key]


def confidence_counts(predictions: Predictions, edges: Floats) -> Floats:
    """Return how many rows, and right ones, without weights, have their highest probability in each bin."""
    find_confidence_sums(predictions, (), [edges])
    return predictions.sums[edges.tobytes(), False]


def top_label_sums(predictions: Predictions, edges: Floats, bins: int) -> BinSums:
    """Return `confidence_sums`, padded with empty bins up to `bins`."""
    sums = np.zeros((len(BinSums._fields), bins))
    sums[:, : edges.size - 1] = confidence_sums(predictions, edges)
    return BinSums(*sums)


def group_sums(group: npt.NDArray[np.int64], groups: int, values: Floats | None) -> Floats:
    """Return the sum of the values of each group, or its number of rows for None."""
    return np.bincount(group, values, groups).astype(np.float64, copy=False)
