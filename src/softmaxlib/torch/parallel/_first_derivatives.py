"""Gradients that can't be differentiated again, and say so.

PyTorch's ``once_differentiable`` raises an error only if the upstream gradient requires one. That of a loss
does not: the gradient of the loss would be a constant, and a penalty of it would be lost.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., tuple[Any, ...]]


def first_derivative_only(message: str) -> Callable[[Backward], Backward]:
    """Decorate a backward pass: to differentiate its results is an error with this message."""

    def decorate(backward: Backward) -> Backward:
        def once(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:
            with torch.no_grad():
                gradients = backward(ctx, *upstream)
            if not torch.is_grad_enabled():
                return gradients
            return _marked(message, gradients, (*upstream, *ctx.saved_tensors))

        return once

    return decorate


def with_first_derivative(tensor: Tensor, message: str) -> Tensor:
    """Return the tensor, with a gradient that is an error to differentiate."""
    return _WithFirstDerivative.apply(tensor, message)


class _WithFirstDerivative(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Any, message: str) -> Tensor:
        ctx.save_for_backward(tensor)
        ctx.message = message
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not torch.is_grad_enabled():
            return *upstream, None
        return _marked(ctx.message, (*upstream, None), ctx.saved_tensors)


def _marked(
    message: str, gradients: Sequence[Tensor | None], origins: Sequence[Tensor | None]
) -> tuple[Any, ...]:
    """Return the gradients, as results that depend on the origins in a way that has no derivative."""
    found = [one for one in gradients if one is not None]
    marked = iter(_Marked.apply(message, len(found), *found, *origins))
    return tuple(None if one is None else next(marked) for one in gradients)


class _Marked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, message: str, count: int, *tensors: Any) -> tuple[Tensor, ...]:
        ctx.message = message
        return tensors[:count]

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise NotImplementedError(ctx.message)
