"""Kernels as they were compiled for calls of one kind.

Triton works out for each launch which of its variants fits, in some 20 microseconds. Here it is asked once
for each kind of call.
"""

from collections.abc import Hashable, Sequence
from typing import Any

from torch import Tensor

_LIMIT = 1024
_compiled: dict[Hashable, Any] = {}


def run(kernel: Any, programs: int, *arguments: Any, **options: Any) -> None:
    """Launch a kernel, whose floats are declared, so that their values are not compiled for."""
    kind = (id(kernel), *_kind(arguments), *options.values())
    known = _compiled.get(kind)
    if known is not None:
        known[(programs, 1, 1)](*arguments)
        return
    if len(_compiled) >= _LIMIT:
        _compiled.clear()
    _compiled[kind] = kernel[(programs,)](*arguments, **options)


def _kind(arguments: Sequence[Any]) -> list[Hashable]:
    """Return all that Triton may compile for: types, device, borders of addresses, and whole numbers."""
    kind: list[Hashable] = [arguments[0].device.index]
    for one in arguments:
        if isinstance(one, Tensor):
            kind += (one.dtype, one.data_ptr() & 15)
        else:
            kind.append(None if type(one) is float else one)
    return kind
