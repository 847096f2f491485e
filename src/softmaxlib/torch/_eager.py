"""The short way for a plain CPU tensor that nothing traces, transforms or records: straight to the kernels.

PyTorch's dispatcher, and the way back through it to Python, cost several times what the softmax of some ten
numbers does. What is computed is the same as by the operators, which do everything else: other devices,
tracing, function transforms, and the derivatives of derivatives.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import _kernels
from . import _activation_operators as operators
from ._operators import all_dims, mask_gradient, numpy_axis

DTYPES = (torch.float32, torch.float64, torch.float16)
_KINDS = (Tensor, torch.nn.Parameter)


def is_plain(*tensors: Tensor | None) -> bool:
    """Whether these are tensors, and this a place, for which the short way does what the operators do."""
    if torch.compiler.is_compiling():
        return False
    for tensor in tensors:
        if tensor is not None and not (type(tensor) in _KINDS and tensor.is_cpu and not tensor.is_neg()):
            return False
    return not (
        torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportAttributeAccessIssue]
        or torch._C._get_tracing_state() is not None
        or torch.is_autocast_enabled("cpu")
        or torch.autograd.forward_ad._current_level >= 0
    )


def as_array(tensor: Tensor) -> np.ndarray:
    """The memory of a plain tensor as a NumPy array."""
    return tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()


def as_tensor(array: Any) -> Tensor:
    """A tensor on the memory of a NumPy array or scalar."""
    return torch.from_numpy(np.asarray(array))


def softmax(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    """Probabilities along ``dim``, as `operators.softmax`."""
    return _activation(_SOFTMAX, input, dim, temperature, where)


def log_softmax(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    """Logarithms of the probabilities along ``dim``, as `operators.log_softmax`."""
    return _activation(_LOG_SOFTMAX, input, dim, temperature, where)


def logsumexp(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
    """The smooth maximum along ``dim``, as `operators.logsumexp`."""
    if not _takes(input, where):
        return operators.logsumexp(input, dim, keepdim, where)
    if input.requires_grad and torch.is_grad_enabled():
        return _LogSumExp.apply(input, dim, keepdim, where)
    return _logsumexp(input, dim, keepdim, where)


class _Activation(NamedTuple):
    kernel: Callable[..., Any]
    derivative: Callable[..., Any]
    operator: Callable[..., Tensor]
    derivative_operator: Callable[..., Tensor]


def _takes(input: Tensor, where: Tensor | None) -> bool:
    return is_plain(input, where) and input.dtype in DTYPES


def _activation(
    which: _Activation, input: Tensor, dim: Any, temperature: float, where: Tensor | None
) -> Tensor:
    if not _takes(input, where):
        return which.operator(input, dim, temperature, where)
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
        gradient = mask_gradient(grad_outputs[0], where)
        if torch.is_grad_enabled() or gradient.dtype != output.dtype or type(gradient) is not Tensor:
            result = which.derivative_operator(
                output, gradient, None if dim is None else all_dims(dim, output.dim())
            )
        else:
            result = as_tensor(which.derivative(as_array(output), as_array(gradient), _axis(dim), None, None))
        return None, operators.scaled(result, temperature), None, None, None


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, where)
        ctx.dim, ctx.keepdim = dim, keepdim
        return _logsumexp(input, dim, keepdim, where)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        input, where = ctx.saved_tensors
        gradient = operators.with_reduced_dims(grad_outputs[0], input, ctx.dim, ctx.keepdim)
        probabilities = softmax(input, ctx.dim, 1.0, where)
        result = gradient * probabilities if torch.is_grad_enabled() else probabilities.mul_(gradient)
        return result, None, None, None


_SOFTMAX = _Activation(_kernels.softmax, _kernels.softmax_jvp, operators.softmax, operators.softmax_jvp)
_LOG_SOFTMAX = _Activation(
    _kernels.log_softmax,
    _kernels.log_softmax_vjp_of_logarithms,
    operators.log_softmax,
    operators.log_softmax_vjp,
)
