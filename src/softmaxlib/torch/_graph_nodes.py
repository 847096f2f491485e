"""Registration of the library's NumPy functions as nodes of ``torch.compile``'s graphs."""

import torch

from .._frameworks import NODES

for _function in NODES:
    torch.compiler.allow_in_graph(_function)
