"""The operators behind softmax and log_softmax with a temperature for each row, or one with a gradient."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .. import _generic
from ._activation_operators import (
    log_softmax_generic,
    log_softmax_vjp,
    softmax_generic,
    softmax_jvp,
)
from ._gpu import rows_at_temperatures
from ._operators import all_dims, define, loop_over_batch, mask_gradient, widened


def _fake(input: Tensor, temperature: Tensor, dim: Any, where: Tensor | None) -> Tensor:
    return torch.empty_like(input)


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, temperature, ctx.dim, where = inputs
    ctx.save_for_backward(input, temperature, where)


def _backward_of(operator: Callable[[], Any], derivative: Callable[..., Tensor]) -> Callable[..., Any]:
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        input, temperature, where = ctx.saved_tensors
        x, dims = widened(input), all_dims(ctx.dim, input.dim())
        # computed anew: probabilities of 16 bits are too coarse for the derivative by the temperature
        values = operator()(x, temperature, ctx.dim, where)
        slope = derivative(values, mask_gradient(widened(gradient), where), ctx.dim)
        slope = mask_gradient(slope, where)
        divisor = _generic.at_least_normal(torch, temperature, x.dtype)
        of_temperature = None
        if ctx.needs_input_grad[1]:
            moves = torch.isfinite(x)  # infinite logits do not change with the temperature
            moves = moves if where is None else moves & where
            largest = torch.where(moves, x, -torch.inf).amax(dims, keepdim=True).detach()
            distance = torch.where(moves, x - largest, 0.0)
            total = (slope * distance).sum(dims, keepdim=True)
            moved = -total / divisor / divisor  # the square might be 0
            of_temperature = moved.sum_to_size(temperature.shape).to(temperature.dtype)
        return (slope / divisor).to(input.dtype), of_temperature, None, None

    return backward


def _at(name: str, generic: Callable[..., Tensor], derivative: Callable[..., Tensor]) -> Any:
    """Register ``softmaxlib::<name>_at``."""

    def definition(input: Tensor, temperature: Tensor, dim: Any, where: Tensor | None) -> Tensor:
        return generic(input, dim, temperature, where)

    operator = define(
        f"{name}_at(Tensor input, Tensor temperature, int[1]? dim, Tensor? where) -> Tensor",
        generic=definition,
        cuda=rows_at_temperatures(f"{name}_at"),
        fake=_fake,
        setup_context=_context,
        backward=_backward_of(lambda: operator, derivative),
        batch=loop_over_batch(lambda *inputs: operator(*inputs)),
    )
    return operator


softmax_at = _at("softmax", softmax_generic, softmax_jvp)
log_softmax_at = _at("log_softmax", log_softmax_generic, log_softmax_vjp)
