"""Right and wrong rows in 20 equal bins of confidence."""

from functools import lru_cache
from typing import Any

import numpy as np

from .predictions import Floats

HISTOGRAM_BINS = 20


@lru_cache
def histogram_edges(dtype: np.dtype[Any]) -> Floats:
    """Return the largest double of each bin, once rounded as the rows are: 0.95 of float32 begins a bin."""
    edges = [0.0]
    for bin_ in range(1, HISTOGRAM_BINS):
        first = np.asarray(bin_ / HISTOGRAM_BINS, dtype)  # and now the first number that is in the bin
        while np.nextafter(first, dtype.type(0)) * dtype.type(HISTOGRAM_BINS) >= bin_:
            first = np.nextafter(first, dtype.type(0))
        while first * dtype.type(HISTOGRAM_BINS) < bin_:
            first = np.nextafter(first, dtype.type(1))
        between = (float(np.nextafter(first, dtype.type(0))) + float(first)) / 2
        edges.append(between if dtype.type(between) < first else float(np.nextafter(between, 0.0)))
    return np.array([*edges, 1.0])
