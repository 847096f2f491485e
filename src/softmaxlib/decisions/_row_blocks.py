"""Probabilities read a block of rows at a time, and the highest of each row."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import FloatArray
from .decision import Floats

_BLOCK_ELEMENTS = 2**20


def row_blocks(probabilities: npt.NDArray[Any], columns: int = 1) -> Iterator[slice]:
    """Yield slices of rows that keep temporaries of as many or of `columns` columns small."""
    size = max(1, _BLOCK_ELEMENTS // max(probabilities.shape[1], columns))
    for start in range(0, probabilities.shape[0], size):
        yield slice(start, min(start + size, probabilities.shape[0]))


def highest(probabilities: FloatArray) -> Floats:
    """Return the probability of the most likely class of each row."""
    return probabilities.max(axis=1).astype(np.float64)
