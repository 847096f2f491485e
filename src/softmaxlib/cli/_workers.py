"""The workers of a command: this process, several on this machine, or a Dask cluster."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, InvalidStateError, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType

from .._warn import warn_user
from ..errors import InvalidInputError

_WAIT = 10.0  # seconds for Dask's scheduler to answer
_GRACE = 1.0  # seconds for a worker to delete its unfinished file


@contextmanager
def executor_for(workers: int, dask: str | None) -> Iterator[Executor | None]:
    """Start the requested executor, None for this process alone; it ends with the block.

    Raises
    ------
    InvalidInputError
        For both options at once, or an address where no scheduler answers.
    """
    if dask is not None:
        if workers != 1:
            raise InvalidInputError("--workers and --dask are two ways to do the work; give one of them")
        with _dask_executor(dask) as executor:
            yield executor
    elif workers == 1:
        yield None
    else:
        yield from _processes(workers)


def _processes(workers: int) -> Iterator[Executor]:
    threads = max(1, len(os.sched_getaffinity(0)) // workers) if hasattr(os, "sched_getaffinity") else 1
    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, _Context(), initializer=_start, initargs=(threads,))
    try:
        with _with_threads(threads):
            yield executor
    except BaseException:
        with _cancelled_quietly():
            for process in set(multiprocessing.active_children()) - before:
                process.terminate()  # an exception ends it, so that no unfinished file is left
            executor.shutdown(cancel_futures=True)
        raise
    finally:
        executor.shutdown()


@contextmanager
def _cancelled_quietly() -> Iterator[None]:
    """Silence an executor, whose thread raises an error if a worker ends and its tasks are cancelled."""
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not InvalidStateError:
            before(args)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before


class _Worker(SpawnProcess):
    """A worker that does not see Ctrl-C, not even while it starts: the parent handles it."""

    def start(self) -> None:
        """Start with the signal blocked, as a process inherits it."""
        if not hasattr(signal, "pthread_sigmask"):
            super().start()
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Context(SpawnContext):
    Process = _Worker


@contextmanager
def _with_threads(threads: int) -> Iterator[None]:
    """Let processes that start within the block share the processors."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS")


def _start(threads: int) -> None:
    """Prepare a worker: ignore Ctrl-C, which the parent handles, and raise an exception when asked to end.

    It ends with its parent, however that ends: it would wait for the next task forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import pyarrow as pa

    pa.set_cpu_count(threads)
    signal.signal(signal.SIGTERM, _end)  # no file is begun before this
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)  # ends the task at hand, but not a wait for the next one
    time.sleep(_GRACE)
    os._exit(1)


def _end(number: int, _: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


@contextmanager
def _dask_executor(address: str) -> Iterator[Executor]:
    from distributed import Client

    try:
        client = Client(address, timeout=_WAIT)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"--dask must be the address of a scheduler, such as tcp://10.0.0.5:8786, and none answers at "
            f"{address}: {error}"
        ) from None
    with client:
        if not client.scheduler_info()["workers"]:
            warn_user(f"the scheduler at {address} has no worker; the work begins when one joins it")
        yield client.get_executor()
