"""The operators behind cross_entropy and its derivative."""

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
    "Tensor? weight, Tensor? where, int dim, float label_smoothing, int? ignore_index, "
    "float focal_gamma, float z_loss, str reduction"
)
_NAMES = (
    "weight",
    "where",
    "axis",
    "label_smoothing",
    "ignore_index",
    "focal_gamma",
    "z_loss",
    "reduction",
)


@torch.compiler.allow_in_graph
def cross_entropy_generic(input: Tensor, target: Tensor, *options: Any) -> Tensor:
    """The loss in tensor operations, differentiable by themselves."""
    loss = _generic.cross_entropy(namespace, widened(input), target, **_named(options))
    return loss.to(input.dtype)


def _named(options: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_NAMES, options, strict=True))


def _numpy_options(options: tuple[Any, ...]) -> dict[str, Any]:
    views = [view_as_numpy(one) if isinstance(one, Tensor) else one for one in options]
    return _named(tuple(views))


def _loss_cpu(input: Tensor, target: Tensor, *options: Any) -> Tensor:
    loss = numpy_functions.cross_entropy(
        view_as_numpy(input), view_as_numpy(target), **_numpy_options(options)
    )
    return fill_from_numpy(_loss_fake(input, target, *options), loss)


def _loss_fake(input: Tensor, target: Tensor, *options: Any) -> Tensor:
    if options[-1] != "none":
        return input.new_empty(())
    dim = options[2]
    return input.new_empty(input.shape[:dim] + input.shape[dim + 1 :])


def _loss_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, target, weight, where, *ctx.options = inputs
    ctx.save_for_backward(input, target, weight, where)


def _loss_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
    input, target, weight, where = ctx.saved_tensors
    result = cross_entropy_vjp(gradient, input, target, weight, where, *ctx.options)

    def loss(target: Tensor, weight: Tensor | None) -> Tensor:
        return cross_entropy_generic(input, target, weight, where, *ctx.options)

    others = pull_back(loss, gradient, (target, weight), ctx.needs_input_grad[1:3])
    return result, *others, *(None,) * 7


def _vjp_cpu(gradient: Tensor, input: Tensor, target: Tensor, *options: Any) -> Tensor:
    result = torch.empty_like(input)
    numpy_functions.cross_entropy_grad(
        view_as_numpy(input),
        view_as_numpy(target),
        **_numpy_options(options),
        out=view_as_numpy(result),
    )
    return in_layout_of(_times_upstream(result, gradient, options).to(input.dtype), input)


def _vjp_generic(gradient: Tensor, input: Tensor, target: Tensor, *options: Any) -> Tensor:
    _, result = _generic.cross_entropy_grad(namespace, widened(input), target, **_named(options))
    return _times_upstream(result, gradient, options).to(input.dtype)


def _times_upstream(result: Tensor, gradient: Tensor, options: tuple[Any, ...]) -> Tensor:
    """The chain rule; what is exactly 0 (ignored, masked) stays so whatever arrives."""
    upstream = gradient.unsqueeze(options[2]) if options[-1] == "none" else gradient
    if options[1] is None and options[4] is None:
        return result * upstream
    return torch.where(result == 0, 0.0, result * upstream)


def _vjp_fake(gradient: Tensor, input: Tensor, target: Tensor, *options: Any) -> Tensor:
    return torch.empty_like(input)


def _vjp_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    gradient, input, target, weight, where, *ctx.options = inputs
    ctx.save_for_backward(gradient, input, target, weight, where)


def _vjp_backward(ctx: Any, second: Tensor) -> tuple[Any, ...]:
    gradient, input, target, weight, where = ctx.saved_tensors

    def first(gradient: Tensor, input: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        return _vjp_generic(gradient, input, target, weight, where, *ctx.options)

    inputs = gradient, input, target, weight
    return *pull_back(first, second, inputs, ctx.needs_input_grad[:4]), *(None,) * 7


cross_entropy_vjp = define(
    f"cross_entropy_vjp(Tensor gradient, Tensor input, Tensor target, {OPTIONS}) -> Tensor",
    cpu=_vjp_cpu,
    generic=_vjp_generic,
    fake=_vjp_fake,
    setup_context=_vjp_context,
    backward=_vjp_backward,
    batch=loop_over_batch(lambda *inputs: cross_entropy_vjp(*inputs)),
    layout=1,
)
cross_entropy = define(
    f"cross_entropy(Tensor input, Tensor target, {OPTIONS}) -> Tensor",
    cpu=_loss_cpu,
    generic=cross_entropy_generic,
    fake=_loss_fake,
    setup_context=_loss_context,
    backward=_loss_backward,
    batch=loop_over_batch(lambda *inputs: cross_entropy(*inputs)),
    layout=None,
    autocast=WIDE,
)
