"""A test for distributed tensors that does not import what most users never need."""

import sys
from typing import Any

from torch.compiler import is_compiling


def is_distributed(tensor: Any) -> bool:
    """Return True for a DTensor; always False in a graph that is being compiled."""
    if is_compiling():
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
