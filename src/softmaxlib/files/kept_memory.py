"""Memory that stays with the process for the length of a task.

The C library gives the memory of a large array back to the system when the array is freed, and must clear it
anew for the next one. It stops doing so after the first such array, unless it was told how to behave: Dask
sets ``MALLOC_TRIM_THRESHOLD_`` for its workers. A task that makes many arrays then spends a fifth of its time
on memory. So the memory is kept while a task runs, and given back after it, as the setting asks for.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SETTING = "MALLOC_TRIM_THRESHOLD_"
_TRIM_THRESHOLD, _MAP_THRESHOLD = -1, -3  # of mallopt(3)
_KEPT, _MAPPED = 1 << 28, 1 << 25
_USUALLY_MAPPED = 1 << 17


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep the memory of arrays that are freed, if the process was told to give back all of it."""
    setting = os.environ.get(_SETTING, "")
    library = _library() if setting.isascii() and setting.isdigit() else None
    if library is None:
        yield
        return
    library.mallopt(_MAP_THRESHOLD, _MAPPED)
    library.mallopt(_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        mapped = os.environ.get("MALLOC_MMAP_THRESHOLD_", "")
        library.mallopt(_MAP_THRESHOLD, int(mapped) if mapped.isdigit() else _USUALLY_MAPPED)
        library.mallopt(_TRIM_THRESHOLD, min(int(setting), 2**31 - 1))
        library.malloc_trim(0)


def _library() -> Any:
    """Return the C library if it is glibc, which has these functions."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
