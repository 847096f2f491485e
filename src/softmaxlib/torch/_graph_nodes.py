"""Registration of functions as nodes of ``torch.compile``'s graphs, when something is compiled."""

import torch

from .._frameworks import NODES

for _function in NODES:
    torch.compiler.allow_in_graph(_function)
