"""A test for distributed tensors that does not import what most users never need."""

import sys
from typing import Any


def is_distributed(tensor: Any) -> bool:
    """Return True for a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
