"""Memory for the temporaries of one block of rows after the other."""

import torch
from torch import Tensor


class Room:
    """Tensors that are written again for each block.

    The C library may return the memory of a freed tensor to the system. To map it anew for each block can
    take longer than to compute the block.
    """

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def take(self, name: str, like: Tensor, dtype: torch.dtype) -> Tensor:
        """Return a contiguous tensor of the shape of another. Its numbers are those of an earlier block."""
        held = self._held.get(name)
        if held is None or held.numel() < like.numel() or held.dtype != dtype:
            held = self._held[name] = torch.empty(like.numel(), dtype=dtype, device=like.device)
        return held[: like.numel()].view(like.shape)

    def clear(self) -> None:
        """Free the memory."""
        self._held.clear()
