"""softmax, log_softmax and logsumexp of PyTorch tensors."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.compiler import is_compiling, is_exporting

from .. import _generic
from .._arrays import check_axis
from .._checks import check_flag, check_temperature
from . import _activation_operators as operators
from . import _eager_gpu
from . import _temperature_operators as temperatures
from ._distributed import is_distributed
from ._fast_path import fast_path
from ._operators import (
    Dims,
    as_floating,
    as_integers,
    check_device,
    check_row_numbers,
    check_where,
    widened,
)

__all__ = ["log_softmax", "logsumexp", "softmax"]

_softmax, _log_softmax, _logsumexp = fast_path.softmax, fast_path.log_softmax, fast_path.logsumexp
_SMALLEST = torch.finfo(torch.float32).smallest_normal  # by which the fast path can divide a gradient


def softmax(
    input: Tensor,
    dim: Dims = -1,
    *,
    temperature: float | Tensor = 1.0,
    where: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    r"""Compute probabilities from logits: positive numbers with sum 1 along ``dim``.

    .. math:: p_i = \frac{\exp((x_i - \max x) / T)}{\sum_j \exp((x_j - \max x) / T)}

    Parameters
    ----------
    input : Tensor
        Logits of any shape and strides, on any device. Integers are converted to float64. A 0-d tensor counts
        as one class, as in ``torch.softmax``.
    dim : int, sequence of int or None, default -1
        The dimension or dimensions of the classes. None means all of them.
    temperature : float or Tensor, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it. A tensor (one
        number, or one per row) gets a gradient. In a compiled graph, and in a tensor on a GPU that is learned
        or has one number per row, a value that is not above 0 gives NaN.
    where : Tensor of bool, optional
        True for the entries that take part. Broadcasts to ``input``. Masked entries have probability 0 and
        gradient 0.
    dtype : torch.dtype, optional
        The input is cast to this dtype first.

    Returns
    -------
    Tensor
        Probabilities of the shape of ``input``.

    Raises
    ------
    ValueError
        If ``temperature`` is not above 0.
    TypeError
        For bool and complex tensors.

    Notes
    -----
    On the CPU this is `softmaxlib.softmax`, with its accuracy (less than 1 ULP in float32) and its bits,
    without a copy. On a GPU a kernel gives the same bits (see `show_config`); other devices evaluate the
    definition in tensor operations. First and higher derivatives,
    ``torch.func``, ``torch.compile(fullgraph=True)`` and ``torch.export`` work.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.softmax(torch.tensor([[2.0, 1.0, 0.1], [0.2, 1.9, 3.0]]), dim=1)
    tensor([[0.6590, 0.2424, 0.0986],
            [0.0436, 0.2388, 0.7175]])
    """
    if (
        dtype is None
        and not is_compiling()
        and (not isinstance(temperature, float) or temperature >= _SMALLEST)
    ):
        result = _softmax(input, dim, temperature, where)
        if result is NotImplemented:
            result = _eager_gpu.softmax(input, dim, temperature, where)
        if result is not NotImplemented:
            return result
    bodies = softmax, operators.softmax, operators.softmax_generic, temperatures.softmax_at
    return _by_operator(*bodies, input, dim, temperature, where, dtype)


def log_softmax(
    input: Tensor,
    dim: Dims = -1,
    *,
    temperature: float | Tensor = 1.0,
    where: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    r"""Compute the logarithm of softmax without losing digits in confident rows.

    .. math:: \log p_i = (x_i - \max x) / T - \log \sum_j \exp((x_j - \max x) / T)

    Parameters
    ----------
    input : Tensor
        Logits of any shape, any strides, on any device. Integers are converted to float64.
    dim : int, sequence of int or None, default -1
        The dimension or dimensions of the classes. None means all of them.
    temperature : float or Tensor, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it. A tensor (one
        number, or one per row) gets a gradient. In a compiled graph, and in a tensor on a GPU that is learned
        or has one number per row, a value that is not above 0 gives NaN.
    where : Tensor of bool, optional
        True for the entries that take part. Broadcasts to ``input``. Masked entries have value -inf and
        gradient 0.
    dtype : torch.dtype, optional
        The input is cast to this dtype first.

    Returns
    -------
    Tensor
        Numbers from -inf to 0, in the shape of ``input``.

    Raises
    ------
    ValueError
        If ``temperature`` is not above 0.
    TypeError
        For bool and complex tensors.

    Notes
    -----
    On the CPU this is `softmaxlib.log_softmax` (at most 1 ULP in float32). The gradient of a confident class,
    1 - p, is computed without rounding p first.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.log_softmax(torch.tensor([0.0, -20.0]))
    tensor([-2.0612e-09, -2.0000e+01])
    """
    if (
        dtype is None
        and not is_compiling()
        and (not isinstance(temperature, float) or temperature >= _SMALLEST)
    ):
        result = _log_softmax(input, dim, temperature, where)
        if result is NotImplemented:
            result = _eager_gpu.log_softmax(input, dim, temperature, where)
        if result is not NotImplemented:
            return result
    bodies = log_softmax, operators.log_softmax, operators.log_softmax_generic, temperatures.log_softmax_at
    return _by_operator(*bodies, input, dim, temperature, where, dtype)


def logsumexp(input: Tensor, dim: Dims = -1, keepdim: bool = False, *, where: Tensor | None = None) -> Tensor:
    r"""Compute the logarithm of the sum of exponentials along ``dim``.

    .. math:: \max x + \log \sum_j \exp(x_j - \max x)

    Parameters
    ----------
    input : Tensor
        Numbers of any shape, any strides, on any device. Integers are converted to float64.
    dim : int, sequence of int or None, default -1
        The dimensions of the sum. None means all.
    keepdim : bool, default False
        Keep the reduced dimensions, with size 1.
    where : Tensor of bool, optional
        True for the entries that take part. Broadcasts to ``input``.

    Returns
    -------
    Tensor
        The logarithms. -inf if a row has no entry that takes part.

    Raises
    ------
    TypeError
        For bool and complex tensors.

    Notes
    -----
    On the CPU this is `softmaxlib.logsumexp` (at most 1 ULP in float32). The gradient is the softmax.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.logsumexp(torch.tensor([1000.0, 1000.0]))
    tensor(1000.6932)
    """
    if not is_compiling():
        result = _logsumexp(input, dim, keepdim, where)
        if result is NotImplemented:
            result = _eager_gpu.logsumexp(input, dim, keepdim, where)
        if result is not NotImplemented:
            return result
    if is_distributed(input):
        return _by_shards("logsumexp", input, dim, 1.0, where, None, keepdim)
    floating = as_floating(input, None)
    check_axis(dim, floating.dim() or 1)
    dim, keepdim = as_integers(dim), check_flag(keepdim, "keepdim")
    check_where(where, floating)
    if floating.dim() == 0:
        return logsumexp(floating[None], dim, where=where)
    if floating is not input:
        return logsumexp(floating, dim, keepdim, where=where)
    if is_exporting():
        return operators.logsumexp_generic(input, dim, keepdim, where)
    return operators.logsumexp(input, dim, keepdim, where)


def _by_operator(
    function: Callable[..., Tensor],
    operator: Callable[..., Tensor],
    generic: Callable[..., Tensor],
    at_temperatures: Callable[..., Tensor],
    input: Tensor,
    dim: Dims,
    temperature: float | Tensor,
    where: Tensor | None,
    dtype: torch.dtype | None,
) -> Tensor:
    """Compute by the operator; a tensor that is cast is tried on the fast path again."""
    if is_distributed(input):
        return _by_shards(function.__name__, input, dim, temperature, where, dtype)
    floating = as_floating(input, dtype)
    axes = check_axis(dim, floating.dim() or 1)
    dim = as_integers(dim)
    check_where(where, floating)
    if floating.dim() == 0:
        return function(floating[None], dim, temperature=temperature, where=where)[0]
    if isinstance(temperature, Tensor) and _is_learned(temperature):
        check_device(temperature, "temperature", floating, may_be_number=True)
    temperature = check_row_numbers(
        check_temperature, temperature, floating, axes, "temperature", waits=False
    )
    if isinstance(temperature, Tensor):
        if _is_learned(temperature):
            if floating.device.type == "cpu":
                number = torch.atleast_1d(temperature.double())  # vmap divides no empty batch by one number
                return generic(floating.double(), dim, number, where).to(floating.dtype)
            if is_exporting():
                return generic(floating, dim, temperature, where)
            return at_temperatures(floating, temperature, dim, where)
        temperature = float(check_temperature(temperature.item(), floating, axes))
    if floating.device.type != "cpu":
        temperature = _generic.at_least_normal(torch, temperature, widened(floating).dtype)
    if dtype is not None or floating is not input:
        return function(floating, dim, temperature=temperature, where=where)
    if is_exporting():
        return generic(input, dim, temperature, where)
    return operator(input, dim, temperature, where)


def _by_shards(name: str, input: Tensor, *arguments: Any) -> Tensor:
    """Evaluate the function of this name for classes sharded over processes."""
    from .parallel._dtensors import by_shards

    return by_shards(name, cast(Any, input), *arguments)


def _is_learned(temperature: Tensor) -> bool:
    """Return True if a temperature needs a gradient, has one number per row, or has none: it is traced."""
    return (
        is_compiling()
        or temperature.requires_grad
        or temperature.numel() > 1
        or temperature.is_meta
        or getattr(temperature, "fake_mode", None) is not None
        or torch._C._are_functorch_transforms_active()
        or torch.autograd.forward_ad._current_level >= 0
    )
