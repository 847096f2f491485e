"""Makes the plain functions of the library nodes of the graphs that ``torch.compile`` builds."""

import torch

from .._frameworks import NODES

for _function in NODES:
    torch.compiler.allow_in_graph(_function)
