"""The fast path for a plain CUDA tensor that nothing traces, transforms or records: straight to the kernels.

PyTorch's dispatcher, and the ways back through it to Python, cost more than the launch of a kernel. What is
computed is the same as by the operators. They do everything else, for which these functions return
NotImplemented.
"""

from typing import Any

import torch
from torch import Tensor

from ._eager import is_regular, takes_activation
from ._gpu import device_of, kernels_for
from ._operators import all_dims


def softmax(input: Tensor, dim: Any, temperature: Any, where: Tensor | None) -> Any:
    """Return probabilities along ``dim``, or NotImplemented."""
    return _run("softmax", input, dim, temperature, where) if is_regular(temperature) else NotImplemented


def log_softmax(input: Tensor, dim: Any, temperature: Any, where: Tensor | None) -> Any:
    """Return logarithms of the probabilities along ``dim``, or NotImplemented."""
    return _run("log_softmax", input, dim, temperature, where) if is_regular(temperature) else NotImplemented


def logsumexp(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Any:
    """Return the smooth maximum along ``dim``, or NotImplemented."""
    return _run("logsumexp", input, dim, keepdim, where)


def _run(name: str, input: Tensor, dim: Any, option: Any, where: Tensor | None) -> Any:
    if not takes_activation(input, dim, where, "cuda") or (input.requires_grad and torch.is_grad_enabled()):
        return NotImplemented
    launch = kernels_for("launch", input, where)
    if launch is None:
        return NotImplemented
    with device_of(input):
        return getattr(launch, name)(input, all_dims(dim, input.dim()), option, where)
