"""Kernels as they were compiled for calls of one kind.

Triton works out for each launch which of its variants fits, in some 20 microseconds. Here it is asked once
for each kind of call.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

_LIMIT = 1024
_compiled: dict[Hashable, Any] = {}


class Launch(NamedTuple):
    """A kernel as it was launched, with its arguments, of which the tensors come first."""

    compiled: Any
    programs: int
    arguments: tuple[Any, ...]

    def without_tensors(self) -> "Launch":
        """Return it with the other arguments alone."""
        return self._replace(arguments=tuple(one for one in self.arguments if not isinstance(one, Tensor)))

    def again(self, stream: int, *addresses: int) -> None:
        """Launch one without tensors on a stream, with others at these addresses, of the same borders."""
        kernel = self.compiled
        kernel.run(
            self.programs, 1, 1, stream, kernel.function, kernel.packed_metadata, None, None, None,
            *addresses, *self.arguments,
        )  # fmt: skip


def run(kernel: Any, programs: int, *arguments: Any, **options: Any) -> Launch:
    """Launch a kernel, whose floats are declared, so that their values are not compiled for."""
    kind = (id(kernel), *_kind(arguments), *options.values())
    known = _compiled.get(kind)
    if known is not None:
        known[(programs, 1, 1)](*arguments)
    else:
        if len(_compiled) >= _LIMIT:
            _compiled.clear()
        known = _compiled[kind] = kernel[(programs,)](*arguments, **options)
    return Launch(known, programs, arguments)


def stream_of(device: int) -> int:
    """Return the stream on which kernels are launched on a device now."""
    return torch._C._cuda_getCurrentRawStream(device)


def _kind(arguments: Sequence[Any]) -> list[Hashable]:
    """Return all that Triton may compile for: types, device, borders of addresses, and whole numbers."""
    kind: list[Hashable] = [arguments[0].device.index]
    for one in arguments:
        if isinstance(one, Tensor):
            kind += (one.dtype, one.data_ptr() & 15)
        else:
            kind.append(None if type(one) is float else one)
    return kind


class Calls:
    """Calls of a function as they were launched, for calls of the same kind: other tensors alone."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[Launch, ...]] = {}

    def get(self, kind: Hashable) -> tuple[Launch, ...] | None:
        """Return the launches of a call of this kind, or None."""
        return self._known.get(kind)

    def keep(self, kind: Hashable, launches: tuple[Launch, ...]) -> None:
        """Keep the launches of a call."""
        if len(self._known) >= _LIMIT:
            self._known.clear()
        self._known[kind] = tuple(one.without_tensors() for one in launches)
