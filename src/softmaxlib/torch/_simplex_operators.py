"""The operators behind sparsemax and entmax, and behind their derivative."""

from typing import Any

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic
from .._frameworks import as_graph_node
from . import _gpu
from ._operators import (
    all_dims,
    broadcast,
    define,
    loop_over_batch,
    mask_gradient,
    pull_back,
    widened,
)


@as_graph_node
def entmax_definition(input: Tensor, alpha: float | Tensor, dim: Any, where: Tensor | None) -> Tensor:
    """Return the probabilities, in tensor operations."""
    if input.numel() == 0:
        return torch.empty_like(input)
    axis = tuple(one % input.dim() for one in all_dims(dim, input.dim()))
    alpha = widened(alpha) if isinstance(alpha, Tensor) else alpha
    result = _generic.entmax(namespace, widened(input), axis=axis, alpha=alpha, where=broadcast(where, input))
    return result.to(input.dtype)


def _vjp_definition(
    probabilities: Tensor, gradient: Tensor, alpha: float, dim: Any, where: Tensor | None
) -> Tensor:
    axis = tuple(one % probabilities.dim() for one in all_dims(dim, probabilities.dim()))
    result = _generic.simplex_vjp(
        namespace,
        widened(probabilities),
        widened(gradient),
        axis=axis,
        alpha=alpha,
        where=broadcast(where, probabilities),
    )
    return result.to(probabilities.dtype)


def _fake(input: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(input)


def _entmax_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, ctx.alpha, ctx.dim, where = inputs
    ctx.save_for_backward(output, where)


def _entmax_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    probabilities, where = ctx.saved_tensors
    return entmax_vjp(probabilities, gradient, ctx.alpha, ctx.dim, where), None, None, None


def _vjp_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    probabilities, gradient, ctx.alpha, ctx.dim, where = inputs
    ctx.save_for_backward(probabilities, gradient, where)


def _vjp_backward(ctx: Any, second: Tensor) -> tuple[Any, ...]:
    probabilities, gradient, where = ctx.saved_tensors

    def first(probabilities: Tensor, gradient: Tensor) -> Tensor:
        return _vjp_definition(probabilities, gradient, ctx.alpha, ctx.dim, where)

    inputs = probabilities, gradient
    return *pull_back(first, second, inputs, ctx.needs_input_grad[:2]), None, None, None


def _on_gpu(name: str) -> Any:
    """Return the operator's body for a GPU; it returns NotImplemented where there is no kernel."""

    def body(*inputs: Any) -> Any:
        *tensors, alpha, dim, where = inputs
        launch = _gpu.kernels_for("simplex_launch", *tensors, where)
        if launch is None or alpha not in launch.FUNCTIONS or tensors[0].dim() == 0:
            return NotImplemented
        return getattr(launch, name)(*tensors, alpha, all_dims(dim, tensors[0].dim()), where)

    return body


entmax_vjp = define(
    "entmax_vjp(Tensor probabilities, Tensor gradient, float alpha, int[1]? dim, Tensor? where) -> Tensor",
    generic=_vjp_definition,
    cuda=_on_gpu("entmax_vjp"),
    fake=_fake,
    setup_context=_vjp_context,
    backward=_vjp_backward,
    batch=loop_over_batch(lambda *inputs: entmax_vjp(*inputs)),
)
entmax = define(
    "entmax(Tensor input, float alpha, int[1]? dim, Tensor? where) -> Tensor",
    generic=entmax_definition,
    cuda=_on_gpu("entmax"),
    fake=_fake,
    setup_context=_entmax_context,
    backward=_entmax_backward,
    batch=loop_over_batch(lambda *inputs: entmax(*inputs)),
)


def _orders_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, alpha, ctx.dim, where = inputs
    ctx.save_for_backward(output, alpha, where)


def _orders_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    probabilities, alpha, where = ctx.saved_tensors
    axis = tuple(one % probabilities.dim() for one in all_dims(ctx.dim, probabilities.dim()))
    p, mask = widened(probabilities), broadcast(where, probabilities)
    order = torch.atleast_1d(widened(alpha).to(p.device))  # vmap has no power of one number in an empty batch
    arrived = widened(mask_gradient(gradient, where))
    of_input = _generic.simplex_vjp(namespace, p, arrived, axis=axis, alpha=order, where=mask)
    slope = _generic.entmax_order_slope(namespace, p, axis=axis, alpha=order, where=mask)
    of_alpha = (arrived * slope).sum_to_size(alpha.shape)
    return of_input.to(probabilities.dtype), of_alpha.to(alpha.dtype), None, None


entmax_of_orders = define(
    "entmax_of_orders(Tensor input, Tensor alpha, int[1]? dim, Tensor? where) -> Tensor",
    cpu=entmax_definition,
    generic=entmax_definition,
    fake=_fake,
    setup_context=_orders_context,
    backward=_orders_backward,
    batch=loop_over_batch(lambda *inputs: entmax_of_orders(*inputs)),
)
