"""The fast path for plain CPU tensors without tracing, transforms or recording: direct calls of the kernels.

PyTorch's dispatcher, and its call back into Python, cost several times as much as the softmax of ten numbers.
Results are the same as those of the operators. For everything else (other devices, tracing, function
transforms, derivatives of derivatives) these functions return NotImplemented, and the operators are used.
This module replaces the compiled one (`_fast_path`) if there is none for the installed PyTorch.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import _kernels
from .._arrays import broadcasts_to
from . import _activation_operators as operators
from ._operators import all_dims, mask_gradient, numpy_axis

DTYPES = (torch.float32, torch.float64, torch.float16)
_KINDS = (Tensor, torch.nn.Parameter)

# looked up once: these questions are asked in each call
_forward_ad: Any = torch.autograd.forward_ad
_compiling = torch.compiler.is_compiling
_grad_enabled = torch.is_grad_enabled
_autocast_enabled = torch.is_autocast_enabled
_dispatch_modes = torch._C._len_torch_dispatch_stack
_function_modes = torch._C._len_torch_function_stack
_transforms: Any = torch._C._functorch.peek_interpreter_stack  # pyright: ignore[reportAttributeAccessIssue]
_traced: Any = torch._C._get_tracing_state
# True for the gradients of several outputs at once (``is_grads_batched``)
_is_batched: Any = torch._C._functorch.is_legacy_batchedtensor  # pyright: ignore[reportAttributeAccessIssue]


def _nothing_watches(device: str) -> bool:
    """Return True without tracing, transforms, modes, autocast or dual numbers; ask `_compiling` besides."""
    return not (
        _dispatch_modes()
        or _function_modes()
        or _transforms() is not None
        or _traced() is not None
        or _autocast_enabled(device)
        or _forward_ad._current_level >= 0
    )


def is_plain(tensor: Tensor, device: str) -> bool:
    """Return True for a plain tensor of a device that nothing but a compiler watches or differentiates."""
    return (
        type(tensor) in _KINDS
        and (tensor.is_cuda if device == "cuda" else tensor.is_cpu)
        and not (tensor.requires_grad and _grad_enabled())
        and not tensor.is_neg()
        and not _is_batched(tensor)
        and _nothing_watches(device)
    )


def takes_fast_path(*tensors: Tensor | None, device: str = "cpu") -> bool:
    """Return True if the fast path is safe: plain tensors of a device, no tracing, transforms or autocast."""
    for tensor in tensors:
        if tensor is not None and (
            type(tensor) not in _KINDS
            or not (tensor.is_cuda if device == "cuda" else tensor.is_cpu)
            or tensor.is_neg()
            or _is_batched(tensor)
        ):
            return False
    return not _compiling() and _nothing_watches(device)


def are_labelled_rows(input: Tensor, target: Tensor) -> bool:
    """Return True for one row of logits or several, not empty, with an int64 label each."""
    shape = target.shape
    return (
        target.dtype == torch.int64
        and len(shape) < 2
        and input.dim() == len(shape) + 1
        and input.shape[: len(shape)] == shape
        and input.numel() > 0
    )


def are_numbers(*values: Any) -> bool:
    """Return True for numbers of Python: no tensors, which might be learned, and no bools."""
    return all(type(value) in (float, int) for value in values)


def as_array(tensor: Tensor) -> np.ndarray:
    """Return the memory of a plain tensor as a NumPy array."""
    return tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()


def as_tensor(array: Any) -> Tensor:
    """Return a tensor on the memory of a NumPy array or scalar."""
    return torch.from_numpy(np.asarray(array))


def softmax(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Any:
    """Return probabilities along ``dim``, or NotImplemented."""
    return _activation(_SOFTMAX, input, dim, temperature, where)


def log_softmax(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Any:
    """Return logarithms of the probabilities along ``dim``, or NotImplemented."""
    return _activation(_LOG_SOFTMAX, input, dim, temperature, where)


def logsumexp(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Any:
    """Return the smooth maximum along ``dim``, or NotImplemented."""
    if not takes_activation(input, dim, where) or input.dtype not in DTYPES:
        return NotImplemented
    if input.requires_grad and torch.is_grad_enabled():
        return _LogSumExp.apply(input, dim, keepdim, where)
    return _logsumexp(input, dim, keepdim, where)


class _Activation(NamedTuple):
    kernel: Callable[..., Any]
    derivative: Callable[..., Any]
    gradient: Callable[..., Tensor]


def takes_activation(input: Tensor, dim: Any, where: Tensor | None, device: str = "cpu") -> bool:
    """Return True if the fast path is safe for these arguments of an activation."""
    if input is None or not takes_fast_path(input, where, device=device) or input.dim() == 0:
        return False
    if where is not None and (where.dtype != torch.bool or not broadcasts_to(where.shape, input.shape)):
        return False
    if dim is not None and not isinstance(dim, int | tuple | list):
        return False
    dims, dimensions = all_dims(dim, input.dim()), input.dim()
    known = all(
        isinstance(one, int) and not isinstance(one, bool) and -dimensions <= one < dimensions for one in dims
    )
    return known and len({one % dimensions for one in dims}) == len(dims)


def is_regular(temperature: Any) -> bool:
    """Return True if a temperature needs no further check."""
    return isinstance(temperature, float) and 0 < temperature < float("inf")


def _activation(which: _Activation, input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Any:
    if not (is_regular(temperature) and takes_activation(input, dim, where) and input.dtype in DTYPES):
        return NotImplemented
    if input.requires_grad and torch.is_grad_enabled():
        return _ActivationFunction.apply(which, input, dim, temperature, where)
    return _run(which, input, dim, temperature, where)


def _run(which: _Activation, input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    mask = None if where is None else as_array(where)
    return as_tensor(which.kernel(as_array(input), _axis(dim), temperature, mask, None, None, None))


def _logsumexp(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
    mask = None if where is None else as_array(where)
    return as_tensor(_kernels.logsumexp(as_array(input), _axis(dim), mask, keepdim, None, None))


def _axis(dim: Any) -> int | tuple[int, ...] | None:
    return dim if isinstance(dim, int) else numpy_axis(dim)


class _ActivationFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, which: _Activation, input: Tensor, dim: Any, temperature: float, where: Tensor | None
    ) -> Tensor:
        output = _run(which, input, dim, temperature, where)
        ctx.save_for_backward(output, where)
        ctx.options = which, dim, temperature
        return output

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        output, where = ctx.saved_tensors
        which, dim, temperature = ctx.options
        (gradient,) = grad_outputs
        if torch.is_grad_enabled() or gradient.dtype != output.dtype or not takes_fast_path(gradient):
            dims = all_dims(dim, output.dim())
            return None, which.gradient(gradient, output, where, dims, temperature), None, None, None
        gradient = as_array(mask_gradient(gradient, where))
        result = as_tensor(which.derivative(as_array(output), gradient, _axis(dim), None, None))
        result = mask_gradient(result, where)  # also in rows that are NaN
        return None, operators.scaled(result, temperature), None, None, None


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, where)
        ctx.dim, ctx.keepdim = dim, keepdim
        result = _logsumexp(input, dim, keepdim, where)
        ctx.nothing = result == -torch.inf  # it is constant
        return result

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        input, where = ctx.saved_tensors
        (gradient,) = grad_outputs
        if torch.is_grad_enabled() or not takes_fast_path(gradient):
            dims = all_dims(ctx.dim, input.dim())
            result = operators.logsumexp_gradient(gradient, input, where, dims, ctx.keepdim)
        else:
            wide = partial(operators.with_reduced_dims, input=input, dim=ctx.dim, keepdim=ctx.keepdim)
            factor, nothing = wide(gradient), wide(ctx.nothing)
            result = _run(_SOFTMAX, input, ctx.dim, 1.0, where).mul_(factor).masked_fill_(nothing, 0.0)
        return result, None, None, None


_SOFTMAX = _Activation(_kernels.softmax, _kernels.softmax_jvp, operators.softmax_gradient)
_LOG_SOFTMAX = _Activation(
    _kernels.log_softmax, _kernels.log_softmax_vjp_of_logarithms, operators.log_softmax_gradient
)
