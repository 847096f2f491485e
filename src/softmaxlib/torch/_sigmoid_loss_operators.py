"""The operators behind sigmoid_cross_entropy and its derivative."""

from typing import Any

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic
from .. import losses as numpy_functions
from ._operators import (
    WIDE,
    define,
    fill_from_numpy,
    in_layout_of,
    loop_over_batch,
    pull_back,
    view_as_numpy,
    widened,
)

OPTIONS = (
    "Tensor? weight, Tensor? pos_weight, Tensor? where, "
    "float label_smoothing, float focal_gamma, str reduction"
)
_NAMES = ("weight", "pos_weight", "where", "label_smoothing", "focal_gamma", "reduction")


@torch.compiler.allow_in_graph
def sigmoid_cross_entropy_generic(input: Tensor, target: Tensor, *options: Any) -> Tensor:
    """The loss in tensor operations, differentiable by themselves."""
    loss = _generic.sigmoid_cross_entropy(namespace, widened(input), target, **_named(options))
    return loss.to(input.dtype)


def _named(options: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_NAMES, options, strict=True))


def _numpy_options(options: tuple[Any, ...]) -> dict[str, Any]:
    return _named(tuple(view_as_numpy(one) if isinstance(one, Tensor) else one for one in options))


def _loss_cpu(input: Tensor, target: Tensor, *options: Any) -> Tensor:
    loss = numpy_functions.sigmoid_cross_entropy(
        view_as_numpy(input), view_as_numpy(target), **_numpy_options(options)
    )
    return fill_from_numpy(_loss_fake(input, target, *options), loss)


def _loss_fake(input: Tensor, target: Tensor, *options: Any) -> Tensor:
    return input.new_empty(input.shape if options[-1] == "none" else ())


def _loss_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.label_smoothing, ctx.focal_gamma, ctx.reduction = inputs
    ctx.save_for_backward(*tensors)


def _loss_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    input, target, weight, pos_weight, where = ctx.saved_tensors
    rest = (where, ctx.label_smoothing, ctx.focal_gamma, ctx.reduction)
    of_input = None
    if ctx.needs_input_grad[0]:
        of_input = sigmoid_cross_entropy_vjp(gradient, input, target, weight, pos_weight, *rest)

    def loss(target: Tensor, weight: Tensor | None, pos_weight: Tensor | None) -> Tensor:
        return sigmoid_cross_entropy_generic(input, target, weight, pos_weight, *rest)

    others = pull_back(loss, gradient, (target, weight, pos_weight), ctx.needs_input_grad[1:4])
    return of_input, *others, *(None,) * 4


def _vjp_cpu(gradient: Tensor, input: Tensor, target: Tensor, *options: Any) -> Tensor:
    result = torch.empty_like(input)
    numpy_functions.sigmoid_cross_entropy_grad(
        view_as_numpy(input),
        view_as_numpy(target),
        **_numpy_options(options),
        out=view_as_numpy(result),
    )
    return in_layout_of(_times_upstream(result, gradient, options).to(input.dtype), input)


def _vjp_generic(gradient: Tensor, input: Tensor, target: Tensor, *options: Any) -> Tensor:
    _, result = _generic.sigmoid_cross_entropy_grad(namespace, widened(input), target, **_named(options))
    return _times_upstream(result, gradient, options).to(input.dtype)


def _times_upstream(result: Tensor, gradient: Tensor, options: tuple[Any, ...]) -> Tensor:
    """The chain rule; what is masked stays 0 whatever arrives."""
    where = options[2]
    return result * gradient if where is None else torch.where(where, result * gradient, 0.0)


def _vjp_fake(gradient: Tensor, input: Tensor, target: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(input)


def _vjp_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.label_smoothing, ctx.focal_gamma, ctx.reduction = inputs
    ctx.save_for_backward(*tensors)


def _vjp_backward(ctx: Any, second: Tensor) -> tuple[Any, ...]:
    gradient, input, target, weight, pos_weight, where = ctx.saved_tensors
    rest = (where, ctx.label_smoothing, ctx.focal_gamma, ctx.reduction)

    def first(*inputs: Tensor) -> Tensor:
        return _vjp_generic(*inputs, *rest)

    inputs = gradient, input, target, weight, pos_weight
    return *pull_back(first, second, inputs, ctx.needs_input_grad[:5]), *(None,) * 4


sigmoid_cross_entropy_vjp = define(
    f"sigmoid_cross_entropy_vjp(Tensor gradient, Tensor input, Tensor target, {OPTIONS}) -> Tensor",
    cpu=_vjp_cpu,
    generic=_vjp_generic,
    fake=_vjp_fake,
    setup_context=_vjp_context,
    backward=_vjp_backward,
    batch=loop_over_batch(lambda *inputs: sigmoid_cross_entropy_vjp(*inputs)),
    layout=1,
)
sigmoid_cross_entropy = define(
    f"sigmoid_cross_entropy(Tensor input, Tensor target, {OPTIONS}) -> Tensor",
    cpu=_loss_cpu,
    generic=sigmoid_cross_entropy_generic,
    fake=_loss_fake,
    setup_context=_loss_context,
    backward=_loss_backward,
    batch=loop_over_batch(lambda *inputs: sigmoid_cross_entropy(*inputs)),
    layout=None,
    autocast=WIDE,
)
