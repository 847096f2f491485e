"""Reading, deciding and writing at once: the next batch is read, and the last one written, meanwhile."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import ParamSpec, TypeVar, cast

Item = TypeVar("Item")
Arguments = ParamSpec("Arguments")

_END = object()


def read_ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The items, of which the next one is made by another thread while one is worked on.

    What making one raises is raised here, where that item would be.
    """
    context = copy_context()
    with ThreadPoolExecutor(1, "softmaxlib-read") as worker:
        coming: Future[object] = worker.submit(context.run, next, items, _END)
        while (item := coming.result()) is not _END:
            coming = worker.submit(context.run, next, items, _END)
            yield cast(Item, item)


@contextmanager
def write_behind(write: Callable[Arguments, None]) -> Iterator[Callable[Arguments, None]]:
    """A function that writes as `write` does, in another thread: it returns once the call before is done.

    What a call raises is raised by the next one, or at the end of the block.
    """
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
