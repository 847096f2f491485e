"""The fast path for a plain CUDA tensor that nothing traces, transforms or records: straight to the kernels.

PyTorch's dispatcher, and the ways back through it to Python, cost more than the launch of a kernel. What is
computed is the same as by the operators. They do everything else, for which these functions return
NotImplemented.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._eager import is_plain, is_regular, takes_activation
from ._gpu import device_of, kernels_for
from ._operators import all_dims

_LIMIT = 1024
_again: dict[tuple[Any, ...], Callable[[Tensor], Tensor]] = {}  # what a call does when it comes again


def softmax(input: Tensor, dim: Any, temperature: Any, where: Tensor | None) -> Any:
    """Return probabilities along ``dim``, or NotImplemented."""
    return _activation("softmax", input, dim, temperature, where)


def log_softmax(input: Tensor, dim: Any, temperature: Any, where: Tensor | None) -> Any:
    """Return logarithms of the probabilities along ``dim``, or NotImplemented."""
    return _activation("log_softmax", input, dim, temperature, where)


def logsumexp(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Any:
    """Return the smooth maximum along ``dim``, or NotImplemented."""
    return _run("logsumexp", input, dim, keepdim, where)


def _activation(name: str, input: Tensor, dim: Any, temperature: Any, where: Tensor | None) -> Any:
    """Compute an activation; a call like one before, of other memory, is launched without a look at it."""
    kind = None
    if where is None and type(dim) is int and type(temperature) is float and is_plain(input, "cuda"):
        border, device = input.data_ptr() & 15, input.get_device()
        kind = name, input.shape, dim, temperature, input.stride(), input.dtype, border, device
        again = _again.get(kind)
        if again is not None and torch._C._cuda_getDevice() == device:
            return again(input)
    if not is_regular(temperature):
        return NotImplemented
    result = _run(name, input, dim, temperature, where)
    if kind is not None and result is not NotImplemented:
        again = kernels_for("launch", input).repetition(name, input, [dim], temperature)
        if again is not None:
            if len(_again) >= _LIMIT:
                _again.clear()
            _again[kind] = again
    return result


def _run(name: str, input: Tensor, dim: Any, option: Any, where: Tensor | None) -> Any:
    if not takes_activation(input, dim, where, "cuda") or (input.requires_grad and torch.is_grad_enabled()):
        return NotImplemented
    launch = kernels_for("launch", input, where)
    if launch is None:
        return NotImplemented
    with device_of(input):
        return getattr(launch, name)(input, all_dims(dim, input.dim()), option, where)
