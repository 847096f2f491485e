"""Overlapped reading, deciding and writing: while a batch is decided, the next is read, the last written.

A worker of an executor works in one thread instead: the other processors are busy with the other workers,
and a worker holds fewer batches.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar, cast

Item = TypeVar("Item")
Arguments = ParamSpec("Arguments")

_END = object()

_overlaps: ContextVar[bool] = ContextVar("overlaps", default=True)


@contextmanager
def without_overlap() -> Iterator[None]:
    """Read, work and write one after the other in this block, in this thread alone."""
    token = _overlaps.set(False)
    try:
        yield
    finally:
        _overlaps.reset(token)


def read_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield items; another thread makes the next one while the caller works on one.

    An error while making an item is raised here, in place of that item.
    """
    if not _overlaps.get():
        yield from items
        return
    context = copy_context()
    with ThreadPoolExecutor(1, "softmaxlib-read") as worker:
        coming: Future[object] = worker.submit(context.run, next, items, _END)
        while (item := coming.result()) is not _END:
            coming = worker.submit(context.run, next, items, _END)
            yield cast(Item, item)


@contextmanager
def write_behind(write: Callable[Arguments, None]) -> Iterator[Callable[Arguments, None]]:
    """Return a function that calls `write` in another thread, and returns once the previous call is done.

    An error of a call is raised by the next call, or at the end of the block.
    """
    if not _overlaps.get():
        yield write
        return
    context = copy_context()
    last: Future[None] | None = None
    with ThreadPoolExecutor(1, "softmaxlib-write") as worker:

        def write_later(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
            nonlocal last
            if last is not None:
                last.result()
            last = worker.submit(context.run, write, *arguments, **options)

        yield write_later
        if last is not None:
            last.result()
