"""Work in blocks that stay in the cache, by as many threads as the library uses elsewhere.

No result depends on the number of threads: each part is worked out by one of them, and parts are added up in
their order.
"""

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .. import _kernels

Floats = npt.NDArray[np.float64]
T = TypeVar("T")

_CHUNKS = 64  # of whole blocks, shared out among the threads
_FEWEST_CHUNKS = 8  # for a thread


class _Busy:
    """The number of running tasks. Work that one of them splits uses the remaining threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._tasks = 0

    def __enter__(self) -> None:
        with self._lock:
            self._tasks += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._tasks -= 1

    def threads_left(self) -> int:
        """Return the number of threads left for the caller, including its own."""
        return max(1, _threads() - max(0, self._tasks - 1))


_busy = _Busy()
_stop: contextvars.ContextVar[Event | None] = contextvars.ContextVar("stop", default=None)


class Stopped(Exception):
    """Another task failed, or was interrupted: nobody waits for this one any more."""


def _threads() -> int:
    return int(_kernels.configuration()["threads"])


def run_together(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Return the results of the tasks, in their order; the first ones are started first.

    Where one fails, the others end at their next sum over blocks.
    """
    threads = min(_busy.threads_left(), len(tasks))
    if threads <= 1:
        return [task() for task in tasks]
    stop = Event()

    def run(task: Callable[[], T]) -> T:
        _stop.set(stop)
        with _busy:
            return task()

    with ThreadPoolExecutor(threads) as pool:
        found = [pool.submit(contextvars.copy_context().run, run, task) for task in tasks]
        try:
            return [one.result() for one in found]
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def sum_over_blocks(
    rows: int,
    length: int,
    make_part: Callable[[], Callable[[slice], Any]],
    fewest_chunks: int = _FEWEST_CHUNKS,
) -> Floats:
    """Return the sum of an array over blocks of `length` rows.

    Each thread calls `make_part` once, which can set aside room to work in, and then what it returned for
    each of its blocks. Blocks are added up in their order: the number of threads changes no bit. A thread
    is worth its start for `fewest_chunks` of at most 64 chunks that the blocks are grouped in.
    """
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Stopped
    starts = range(0, rows, length)
    chunks = [starts[first::_CHUNKS] for first in range(min(_CHUNKS, len(starts)))]
    most = len(chunks) // fewest_chunks
    threads = min(_busy.threads_left(), most) if most > 1 else 1

    def totals(first: int) -> list[Any]:
        part = make_part()
        return [
            sum(part(slice(start, start + length)) for start in chunk) for chunk in chunks[first::threads]
        ]

    if threads <= 1:
        threads = 1
        return np.sum(totals(0), axis=0)
    found: list[Any] = [None] * len(chunks)
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(contextvars.copy_context().run, totals, first) for first in range(threads)]
        for first, one in enumerate(futures):
            found[first::threads] = one.result()
    return np.sum(found, axis=0)
