"""Sums over rows, in blocks that stay in the cache, by as many threads as the library uses elsewhere."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import _kernels

Floats = npt.NDArray[np.float64]

_CHUNKS = 64  # of whole blocks, shared out among the threads
_FEWEST_CHUNKS = 8  # for a thread


def sum_over_blocks(rows: int, length: int, make_part: Callable[[], Callable[[slice], Any]]) -> Floats:
    """The sum of an array over blocks of `length` rows.

    Each thread calls `make_part` once, which can set aside room to work in, and then what it returned for
    each of its blocks. Blocks are added up in their order: the number of threads changes no bit.
    """
    starts = range(0, rows, length)
    chunks = [starts[first::_CHUNKS] for first in range(min(_CHUNKS, len(starts)))]
    threads = min(int(_kernels.configuration()["threads"]), max(1, len(chunks) // _FEWEST_CHUNKS))

    def totals(first: int) -> list[Any]:
        part = make_part()
        return [
            sum(part(slice(start, start + length)) for start in chunk) for chunk in chunks[first::threads]
        ]

    if threads == 1:
        return np.sum(totals(0), axis=0)
    found: list[Any] = [None] * len(chunks)
    with ThreadPoolExecutor(threads) as pool:
        for first, some in enumerate(pool.map(totals, range(threads))):
            found[first::threads] = some
    return np.sum(found, axis=0)
