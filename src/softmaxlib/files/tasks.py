"""Work done by an executor: one call per part, results in the order of the parts."""

import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from .. import _kernels
from .._spelling import are_spelled_as_options, argument, spelled_as_options
from .._warn import kept_warnings, warn_user
from ..errors import InvalidInputError, SoftmaxlibError, WorkerError
from .kept_memory import kept_memory
from .overlap import without_overlap

_MOST_THREADS = 8  # each holds a part of a file

_IN_PYTHON = (
    ", or it could not import what it was sent: a script that starts processes needs "
    'if __name__ == "__main__", and a rule of your own must be defined in a module'
)

T = TypeVar("T")
R = TypeVar("R")


class _Done(NamedTuple):
    result: Any
    error: Exception | None
    warnings: tuple[str, ...]


def run(work: Callable[[T], R], tasks: Iterable[T], executor: Executor | None) -> Iterator[R]:
    """Do some work on each task, and return the results in the order of the tasks.

    Parameters
    ----------
    work : function of a module
        Called with one task; another process finds it by its name.
    tasks : iterable
        All of them are handed to the executor at once: each must be small.
    executor : concurrent.futures.Executor or None
        None does the work here, one task after the other, as results are asked for.

    Raises
    ------
    WorkerError
        When the executor fails: it was shut down, a process of it was killed, or it can't send the work.
    """
    if executor is None:
        return map(work, tasks)
    as_options = are_spelled_as_options()
    this_run = uuid4().hex
    every = list(tasks)
    with _named_error():
        futures = deque(
            executor.submit(_call, work, task, as_options, (this_run, number))
            for number, task in enumerate(every)
        )
    return _results(futures)


def check_executor(executor: Executor | None) -> None:
    """Reject what takes no work."""
    if executor is not None and (isinstance(executor, type) or not hasattr(executor, "submit")):
        raise InvalidInputError(
            f"{argument('executor')} must be a concurrent.futures.Executor, got {executor!r}; pass one such "
            "as ProcessPoolExecutor(4), or leave it out"
        )


@contextmanager
def own_threads() -> Iterator[Executor]:
    """Return an executor with a thread for each of some processors; a kernel then works in one thread."""
    number = min(_kernels.configuration()["threads"], _MOST_THREADS)
    executor = ThreadPoolExecutor(number, "softmaxlib", _kernels.limit_threads, (1,))
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def _named_error() -> Iterator[None]:
    try:
        yield
    except BrokenExecutor as error:
        raise WorkerError(
            f"a worker process ended before its work was done ({error}); it was killed, or memory ran out"
            + ("" if are_spelled_as_options() else _IN_PYTHON)
        ) from error
    except Exception as error:
        raise WorkerError(
            f"the executor failed ({type(error).__name__}: {error}); it must be running, and be able to send "
            "the policy to its workers: define a rule of your own in a module"
        ) from error


def _results(futures: "deque[Future[_Done]]") -> Iterator[Any]:
    try:
        while futures:
            with _named_error():
                done = futures[0].result()
            futures.popleft()  # a result is freed as soon as it is yielded
            for message in done.warnings:
                warn_user(message)
            if done.error is not None:
                raise done.error
            yield done.result
            del done
    finally:
        for future in futures:
            future.cancel()


def _call(work: Callable[[T], R], task: T, as_options: bool, unique: tuple[str, int]) -> _Done:
    """Do the work of one task in one thread, with the settings of the process that sent it.

    `unique` makes the call differ from every other: Dask does equal calls once only, and gives what came of
    the first for all of them. An error of the work is part of the result, so that every error that the
    executor raises is its own.
    """
    del unique
    result = error = None
    with spelled_as_options(as_options), without_overlap(), kept_memory(), kept_warnings() as kept:
        try:
            result = work(task)
        except Exception as raised:
            error = raised
            if not isinstance(raised, SoftmaxlibError):
                raised.add_note(traceback.format_exc())
    return _Done(result, error, tuple(kept))
