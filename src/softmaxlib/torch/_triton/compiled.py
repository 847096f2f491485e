"""Kernels as they were compiled for calls of one kind.

Triton works out for each launch which of its variants fits, in some 20 microseconds. Here it is asked once.
"""

from collections.abc import Hashable
from typing import Any

_LIMIT = 1024
_compiled: dict[Hashable, Any] = {}


def run(kind: Hashable, kernel: Any, programs: int, *arguments: Any, **options: Any) -> None:
    """Launch a kernel.

    ``kind`` holds all that Triton compiles for: the device, types, constants, and of numbers and addresses
    whether they are 1 or multiples of 16.
    """
    known = _compiled.get(kind)
    if known is not None:
        known[(programs, 1, 1)](*arguments)
        return
    if len(_compiled) >= _LIMIT:
        _compiled.clear()
    _compiled[kind] = kernel[(programs,)](*arguments, **options)
