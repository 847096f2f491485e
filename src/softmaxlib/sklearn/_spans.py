"""Work on spans of the rows, in threads; how many threads changes no span, and so no sum over them."""

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .. import _kernels

_SPANS = 16  # few enough that their sums cost nothing, enough that no thread waits long for the last

Item = TypeVar("Item")
Result = TypeVar("Result")


class Spans:
    """The rows in equal parts; one where they are few."""

    def __init__(self, rows: int, *, few: bool):
        parts = 1 if few else _SPANS
        borders = [rows * k // parts for k in range(parts + 1)]
        self.rows = [slice(start, stop) for start, stop in itertools.pairwise(borders)]

    def map(self, work: Callable[[slice], Result]) -> list[Result]:
        """Compute work(rows) of every span, in their order."""
        return in_threads(work, self.rows, few=len(self.rows) == 1)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], *, few: bool) -> list[Result]:
    """Compute work(item) of every item, in their order; in this thread where there is little to do.

    NumPy releases the interpreter's lock in what is large. Threads of BLAS are no help here: they would meet
    after each small product.
    """
    threads = min(_kernels.configuration()["threads"], len(items))
    if few or threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def blocks(rows: slice, size: int) -> list[slice]:
    """Split a span into blocks of this many rows."""
    return [slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size)]
