"""Choice of the kernels for GPU tensors: Triton, or the definitions in tensor operations.

Triton is imported with the first tensor on a GPU, never before.
"""

import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

SWITCH = "SOFTMAXLIB_TRITON"
_COVERED = (
    "softmax, log_softmax, logsumexp, cross_entropy, linear_cross_entropy, sigmoid_cross_entropy, their "
    "first derivatives, and the second ones but for linear_cross_entropy, sparsemax, entmax of order 1.5 and "
    "their first derivative, of float32, float16, bfloat16 and, on devices that compute doubles at half the "
    "speed of floats, float64; sampling of float32, float16 and bfloat16"
)
_LEFT = (
    "entmax of other orders, derivatives by targets and weights, forward-mode derivatives, third ones, and "
    "second ones of linear_cross_entropy"
)
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_BORDER = 2**13  # so many elements below 2^31, the end of a kernel's last block has no number of 32 bits
_HALF_SPEED = ((6, 0), (7, 0), (8, 0), (9, 0), (10, 0))  # capabilities of devices


def why_not() -> str | None:
    """Return the reason why the Triton kernels are not used, or None if they are."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    if torch.version.hip is not None:
        return "the kernels are for CUDA, and this PyTorch is for ROCm"
    if importlib.util.find_spec("triton") is None:
        return "the package triton is missing; install softmaxlib[gpu]"
    return None


def description() -> str:
    """Describe how GPU tensors are computed, for `show_config`."""
    reason = why_not()
    if reason is not None:
        return f"definitions in tensor operations ({reason})"
    without = "" if torch.cuda.is_available() else " (no CUDA device here)"
    return f"{_COVERED} in Triton; the rest ({_LEFT}) by its definition in tensor operations{without}"


@functools.cache
def kernels(module: str) -> Any:
    """Return a module of `_triton` that launches kernels, or None if they are not used."""
    return None if why_not() else importlib.import_module(f"softmaxlib.torch._triton.{module}")


def kernels_for(module: str, tensor: Tensor, *others: Tensor | None) -> Any:
    """Return such a module, or None if its kernels do not take this tensor, or others beside it."""
    launches = kernels(module)
    if launches is None or tensor.dtype not in _DTYPES:
        return None
    for one in (tensor, *others):
        if one is not None and (one.device != tensor.device or 2**31 - _BORDER < one.numel() < 2**31):
            return None
    if tensor.dtype == torch.float64 and not _computes_doubles_at_half_speed(tensor.device):
        return None
    return launches


@functools.cache
def _computes_doubles_at_half_speed(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device) in _HALF_SPEED


def device_of(tensor: Tensor) -> AbstractContextManager[Any]:
    """Return the context in which kernels are launched on the device of a tensor."""
    elsewhere = tensor.is_cuda and tensor.device.index != torch.cuda.current_device()
    return torch.cuda.device(tensor.device) if elsewhere else nullcontext()


def by_kernel(name: str) -> Callable[..., Any]:
    """Return the GPU body of an operator: the kernel of that name, or one that returns NotImplemented."""

    def body(input: Tensor, dim: Sequence[int] | None, option: Any, where: Tensor | None) -> Any:
        launch = kernels_for("launch", input, where)
        if launch is None:
            return NotImplemented
        dims = range(input.dim()) if dim is None else dim
        return getattr(launch, name)(input, dims, option, where)

    return body


def by_module(module: str, name: str) -> Callable[..., Any]:
    """Return the body of an operator for a GPU: a function of a module of `_triton`."""

    def body(tensor: Tensor, *inputs: Any) -> Any:
        launches = kernels_for(module, tensor, *(one for one in inputs if isinstance(one, Tensor)))
        return NotImplemented if launches is None else getattr(launches, name)(tensor, *inputs)

    return body


def rows_at_temperatures(name: str) -> Callable[..., Any]:
    """Return the GPU body of a function whose rows have their own temperatures."""

    def body(input: Tensor, temperature: Tensor, dim: Sequence[int] | None, where: Tensor | None) -> Any:
        launches = kernels_for("double_launch", input, temperature, where)
        if launches is None or input.dim() == 0:
            return NotImplemented
        dims = range(input.dim()) if dim is None else dim
        return getattr(launches, name)(input, temperature, dims, where)

    return body


def derivative_by_kernel(name: str) -> Callable[..., Any]:
    """Return the body of a derivative of the softmax family for a GPU."""

    def body(values: Tensor, tangent: Tensor, dim: Sequence[int] | None) -> Any:
        launches = kernels_for("double_launch", values, tangent)
        if launches is None or values.dim() == 0:
            return NotImplemented
        dims = range(values.dim()) if dim is None else dim
        return getattr(launches, name)(values, tangent, dims)

    return body
