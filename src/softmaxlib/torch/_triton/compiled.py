"""Kernels as they were compiled for calls of one kind.

Triton works out for each launch which of its variants fits, in some 20 microseconds. Here it is asked once
for each kind of call.
"""

from collections.abc import Callable, Hashable, Sequence
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

    def relauncher(self) -> Callable[..., None]:
        """Return a function that launches it on a stream, with tensors at addresses of the same borders."""
        kernel, programs = self.compiled, self.programs
        launch, function, packed = kernel.run, kernel.function, kernel.packed_metadata
        rest = self.without_tensors().arguments

        def again(stream: int, *addresses: int) -> None:
            launch(programs, 1, 1, stream, function, packed, None, None, None, *addresses, *rest)

        return again


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


Repetition = Callable[[Tensor], Tensor]


def repetition_of(launches: Sequence[Launch], device: int) -> Repetition:
    """Return a function that launches the same for other logits of the same kind, and returns the result.

    That is one kernel, or one that fills some room, and one that reads it.
    """
    empty_like = torch.empty_like
    if len(launches) == 1:
        launch = launches[0].relauncher()

        def repeat(input: Tensor) -> Tensor:
            result, logits = empty_like(input), input.data_ptr()
            launch(stream_of(device), logits, result.data_ptr(), logits, logits)
            return result

        return repeat
    first, second = (one.relauncher() for one in launches)
    room = launches[0].arguments[1]
    size, dtype, where = room.numel(), room.dtype, room.device
    del room

    def repeat_both(input: Tensor) -> Tensor:
        result, logits, stream = empty_like(input), input.data_ptr(), stream_of(device)
        parts = torch.empty(
            size, dtype=dtype, device=where
        )  # another thread must not be given this memory yet
        first(stream, logits, parts.data_ptr(), logits)
        second(stream, logits, result.data_ptr(), parts.data_ptr(), logits)
        return result

    return repeat_both


class Calls:
    """Calls of a function as they were launched, for calls of the same kind: other tensors alone."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Repetition] = {}

    def get(self, kind: Hashable) -> Repetition | None:
        """Return what a call of this kind does, or None."""
        return self._known.get(kind)

    def keep(self, kind: Hashable, launches: Sequence[Launch], device: int) -> None:
        """Keep what a call launched."""
        if len(self._known) >= _LIMIT:
            self._known.clear()
        self._known[kind] = repetition_of(launches, device)
