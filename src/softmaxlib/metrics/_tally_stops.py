"""The sums of a tally at other thresholds, and of its histograms."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ._bins import bin_index, column_sums, confidence_counts, find_confidence_sums
from ._exact_sums import ExactSums
from ._tally_sums import Sums
from .confidence_histogram import HISTOGRAM_BINS, histogram_edges
from .operating_points import (
    AtConfidence,
    AtThreshold,
    Stops,
    StopSums,
    at_confidence_of_sums,
    at_threshold_of_sums,
    edges_at,
)
from .predictions import Floats, Predictions

_OF_HISTOGRAM, _OF_CONFIDENCE, _OF_THRESHOLD = "histogram", "at_confidence", "at_threshold"
_SUMS = len(StopSums._fields)


class OperatingPoints(NamedTuple):
    """Figures of a tally at other thresholds."""

    of_right: Floats
    of_wrong: Floats
    at_confidence: AtConfidence
    at_threshold: AtThreshold | None


def sizes_of_stop_sums(stops: Stops) -> dict[str, int]:
    """Return the number of keys of each kind of sum."""
    return {
        _OF_HISTOGRAM: 2 * HISTOGRAM_BINS,
        _OF_CONFIDENCE: 2 * _SUMS * stops.confidence.size,
        _OF_THRESHOLD: 2 * _SUMS * stops.threshold.size,
    }


def add_to_stops(sums: Sums, rows: Predictions, stops: Stops) -> None:
    """Add rows of positive weights."""
    weights, right = rows.sample_weight, rows.figure("correct")
    edges = histogram_edges(rows.values.dtype), edges_at(stops.confidence)
    if weights is None:
        find_confidence_sums(rows, (), edges)  # one look at each row
        for name, one, times in zip((_OF_HISTOGRAM, _OF_CONFIDENCE), edges, (1, _SUMS), strict=True):
            _count(sums[name], confidence_counts(rows, one), times)
    else:
        index, points = (bin_index(rows.figure("confidence"), one) for one in edges)
        sums[_OF_HISTOGRAM].weigh(right * HISTOGRAM_BINS + index, 2 * HISTOGRAM_BINS, weights)
        _weigh(sums[_OF_CONFIDENCE], points, stops.confidence.size, right, weights)
    if not stops.threshold.size:
        return
    edges_of_second, of_second = edges_at(stops.threshold), rows.labels == 1
    if weights is None:
        counts = column_sums(edges_of_second, rows.column(1), None, of_second)[[0, 2]]
        _count(sums[_OF_THRESHOLD], counts, _SUMS)
    else:
        points = bin_index(rows.column(1), edges_of_second)
        _weigh(sums[_OF_THRESHOLD], points, stops.threshold.size, of_second, weights)


def operating_points(sums: Sums, stops: Stops) -> OperatingPoints | None:
    """Return the shares at each stop and the histograms; None where rows were not added to these."""
    of_wrong, of_right = sums[_OF_HISTOGRAM].array(2 * HISTOGRAM_BINS).reshape(2, -1)
    if not of_wrong.any() and not of_right.any():
        return None
    at_threshold = None
    if stops.threshold.size:
        at_threshold = at_threshold_of_sums(stops.threshold, _sums_of(sums[_OF_THRESHOLD], stops.threshold))
    at_confidence = at_confidence_of_sums(stops.confidence, _sums_of(sums[_OF_CONFIDENCE], stops.confidence))
    return OperatingPoints(of_right, of_wrong, at_confidence, at_threshold)


def _sums_of(sums: ExactSums, stops: Floats) -> StopSums:
    return StopSums.of_bins(*sums.array(2 * _SUMS * stops.size).reshape(_SUMS, 2, -1))


def _count(sums: ExactSums, counts: Floats, times: int) -> None:
    """Add how many rows, and hits, are in each bin to each of some sums: all weights are 1."""
    rows, hits = counts.astype(np.int64)
    sums.add_counts(np.tile(np.concatenate([rows - hits, hits]), times))


def _weigh(sums: ExactSums, bins: IntArray, size: int, hit: npt.NDArray[np.bool_], weights: Floats) -> None:
    place, keys = hit * size + bins, 2 * _SUMS * size
    for number, one in enumerate((weights, np.square(weights), None)):
        sums.weigh(number * 2 * size + place, keys, one)
