"""The operators behind softmax, log_softmax and logsumexp, and behind their derivatives."""

from typing import Any

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic, _kernels
from .. import activations as numpy_functions
from .._frameworks import as_graph_node
from ..errors import InvalidInputError
from ._gpu import by_kernel, derivative_by_kernel
from ._operators import (
    all_dims,
    broadcast,
    define,
    mask_gradient,
    numpy_axis,
    shift_dims,
    to_front,
    view_as_numpy,
    widened,
)
from ._second_derivatives import (
    log_softmax_jvp,
    log_softmax_vjp_by_logarithms,
    softmax_jvp_by_probabilities,
)


def _softmax_cpu(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    return _call_numpy(numpy_functions.softmax, input, dim, temperature, where)


def _log_softmax_cpu(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    return _call_numpy(numpy_functions.log_softmax, input, dim, temperature, where)


def _call_numpy(function: Any, input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    result = torch.empty_like(input)
    function(
        view_as_numpy(input),
        axis=numpy_axis(dim),
        temperature=temperature,
        where=None if where is None else view_as_numpy(where),
        out=view_as_numpy(result),
    )
    return result


@as_graph_node
def softmax_generic(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    return _call_generic(_generic.softmax, input, dim, temperature, where)


@as_graph_node
def log_softmax_generic(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    return _call_generic(_generic.log_softmax, input, dim, temperature, where)


def _call_generic(
    definition: Any, input: Tensor, dim: Any, temperature: float, where: Tensor | None
) -> Tensor:
    if input.numel() == 0:
        return torch.empty_like(input)
    axis = tuple(all_dims(dim, input.dim()))
    where = broadcast(where, input)
    return definition(namespace, widened(input), axis=axis, temperature=temperature, where=where).to(
        input.dtype
    )


def _activation_fake(input: Tensor, dim: Any, temperature: float, where: Tensor | None) -> Tensor:
    return torch.empty_like(input)


def _activation_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, ctx.dim, ctx.temperature, where = inputs
    ctx.save_for_backward(output, where)


def _softmax_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
    probabilities, where = ctx.saved_tensors
    return softmax_gradient(gradient, probabilities, where, ctx.dim, ctx.temperature), None, None, None


def _log_softmax_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
    log_probabilities, where = ctx.saved_tensors
    return (
        log_softmax_gradient(gradient, log_probabilities, where, ctx.dim, ctx.temperature),
        None,
        None,
        None,
    )


def softmax_gradient(
    gradient: Tensor, probabilities: Tensor, where: Tensor | None, dim: Any, temperature: float
) -> Tensor:
    """Return the gradient by the input of softmax, which can be differentiated again."""
    slope = softmax_jvp(probabilities, mask_gradient(gradient, where), dim)
    return scaled(mask_gradient(slope, where), temperature)


def log_softmax_gradient(
    gradient: Tensor, log_probabilities: Tensor, where: Tensor | None, dim: Any, temperature: float
) -> Tensor:
    """Return the gradient by the input of log_softmax, which can be differentiated again."""
    slope = log_softmax_vjp(log_probabilities, mask_gradient(gradient, where), dim)
    return scaled(mask_gradient(slope, where), temperature)


def scaled(gradient: Tensor, temperature: float) -> Tensor:
    """Return the gradient by the logits from that by the logits over the temperature."""
    if temperature == 1.0:
        return gradient
    return gradient / _generic.at_least_normal(torch, temperature, widened(gradient).dtype)


def _activation_batch(operator: Any) -> Any:
    def batch(
        info: Any, in_dims: Any, input: Tensor, dim: Any, temperature: float, where: Tensor | None
    ) -> Any:
        input, where, dim = _batched(info, in_dims[0], in_dims[-1], input, where, dim)
        return operator()(input, dim, temperature, where), 0

    return batch


def _batched(
    info: Any, input_dim: int | None, where_dim: int | None, input: Tensor, where: Tensor | None, dim: Any
) -> tuple[Tensor, Tensor | None, list[int]]:
    """Return input, mask and dimensions of all examples of a batch, the batch in front."""
    if input_dim is None:
        input, input_dim = input.expand(info.batch_size, *input.shape), 0
    dimensions = input.dim() - 1
    front = to_front(input, input_dim)
    assert front is not None
    return front, to_front(where, where_dim, dimensions), shift_dims(dim, dimensions)


def _softmax_jvp_generic(probabilities: Tensor, tangent: Tensor, dim: Any) -> Tensor:
    p, t = widened(probabilities), widened(tangent)
    dims = all_dims(dim, p.dim())
    return (p * (t - (p * t).sum(dims, keepdim=True))).to(probabilities.dtype)


def _softmax_jvp_cpu(probabilities: Tensor, tangent: Tensor, dim: Any) -> Tensor:
    return _call_derivative(_kernels.softmax_jvp, probabilities, tangent, dim)


def _log_softmax_vjp_cpu(log_probabilities: Tensor, gradient: Tensor, dim: Any) -> Tensor:
    return _call_derivative(_kernels.log_softmax_vjp_of_logarithms, log_probabilities, gradient, dim)


def _call_derivative(kernel: Any, values: Tensor, tangent: Tensor, dim: Any) -> Tensor:
    result = torch.empty_like(values)
    axis, out = numpy_axis(dim), view_as_numpy(result)
    given = kernel(view_as_numpy(values), view_as_numpy(tangent.to(values.dtype)), axis, None, out)
    if given is NotImplemented:
        shapes = f"{tuple(values.shape)} and {tuple(tangent.shape)}"
        raise InvalidInputError(f"a derivative needs two tensors of one shape, got {shapes} with dim {dim}")
    return result


def _one_log_softmax_vjp(log_p: Tensor, g: Tensor, total: Tensor) -> Tensor:
    # 1 - p is computed from the logarithm, because rounding a p near 1 would lose it
    return _generic.one_minus_exp(torch, log_p) * g - torch.exp(log_p) * (total - g)


def _log_softmax_vjp_generic(log_probabilities: Tensor, gradient: Tensor, dim: Any) -> Tensor:
    log_p, g = widened(log_probabilities), widened(gradient)
    total = g.sum(all_dims(dim, g.dim()), keepdim=True)
    return _one_log_softmax_vjp(log_p, g, total).to(log_probabilities.dtype)


def _pair_fake(values: Tensor, tangent: Tensor, dim: Any) -> Tensor:
    return torch.empty_like(values)


def _pair_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    values, tangent, ctx.dim = inputs
    ctx.save_for_backward(values, tangent)


def _softmax_jvp_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
    p, t = ctx.saved_tensors
    of_probabilities = softmax_jvp_by_probabilities(p, t, gradient, ctx.dim)
    return of_probabilities, softmax_jvp(p, gradient, ctx.dim), None


def _log_softmax_vjp_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
    log_p, g = ctx.saved_tensors
    of_logarithms = log_softmax_vjp_by_logarithms(log_p, g, gradient, ctx.dim)
    return of_logarithms, log_softmax_jvp(log_p, gradient, ctx.dim), None


def _pair_batch(operator: Any) -> Any:
    def batch(info: Any, in_dims: Any, values: Tensor, tangent: Tensor, dim: Any) -> Any:
        values, tangent = (
            one.expand(info.batch_size, *one.shape) if at is None else one.movedim(at, 0)
            for one, at in zip((values, tangent), in_dims[:2], strict=True)
        )
        return operator()(values, tangent, shift_dims(dim, values.dim() - 1)), 0

    return batch


def _logsumexp_cpu(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
    result = _logsumexp_fake(input, dim, keepdim, where)
    numpy_functions.logsumexp(
        view_as_numpy(input),
        axis=numpy_axis(dim),
        keepdims=keepdim,
        where=None if where is None else view_as_numpy(where),
        out=view_as_numpy(result),
    )
    return result


@as_graph_node
def logsumexp_generic(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
    dims = all_dims(dim, input.dim())
    if any(input.shape[one] == 0 for one in dims):
        return _logsumexp_fake(input, dim, keepdim, where).fill_(-torch.inf)
    where = broadcast(where, input)
    result = _generic.logsumexp(namespace, widened(input), axis=tuple(dims), keepdims=keepdim, where=where)
    return result.to(input.dtype)


def _logsumexp_fake(input: Tensor, dim: Any, keepdim: bool, where: Tensor | None) -> Tensor:
    reduced = {one % input.dim() for one in all_dims(dim, input.dim())}
    sizes = [1 if one in reduced else size for one, size in enumerate(input.shape)]
    return input.new_empty(sizes if keepdim else [s for one, s in enumerate(sizes) if one not in reduced])


def _logsumexp_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    input, ctx.dim, ctx.keepdim, where = inputs
    ctx.save_for_backward(input, where)


def _logsumexp_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
    input, where = ctx.saved_tensors
    return logsumexp_gradient(gradient, input, where, ctx.dim, ctx.keepdim), None, None, None


def logsumexp_gradient(
    gradient: Tensor, input: Tensor, where: Tensor | None, dim: Any, keepdim: bool
) -> Tensor:
    """Return the gradient by the input of logsumexp, which can be differentiated again."""
    visible = input if where is None else torch.where(where, input, -torch.inf)
    nothing = visible.amax(all_dims(dim, input.dim()), keepdim=True) == -torch.inf
    p = softmax(torch.where(nothing, 0.0, input), dim, 1.0, where)
    # the sum over an empty row is constant: its gradient is 0
    return torch.where(nothing, 0.0, with_reduced_dims(gradient, input, dim, keepdim) * p)


def with_reduced_dims(result: Tensor, input: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """Return a reduction's result with the reduced dimensions of the input, of size 1."""
    if not keepdim:
        for one in sorted(one % input.dim() for one in all_dims(dim, input.dim())):
            result = result.unsqueeze(one)
    return result


def _logsumexp_batch(
    info: Any, in_dims: Any, input: Tensor, dim: Any, keepdim: bool, where: Tensor | None
) -> Any:
    input, where, dim = _batched(info, in_dims[0], in_dims[-1], input, where, dim)
    return logsumexp(input, dim, keepdim, where), 0


softmax_jvp = define(
    "softmax_jvp(Tensor probabilities, Tensor tangent, int[1]? dim) -> Tensor",
    cpu=_softmax_jvp_cpu,
    cuda=derivative_by_kernel("softmax_jvp"),
    generic=_softmax_jvp_generic,
    fake=_pair_fake,
    setup_context=_pair_context,
    backward=_softmax_jvp_backward,
    batch=_pair_batch(lambda: softmax_jvp),
)
log_softmax_vjp = define(
    "log_softmax_vjp(Tensor log_probabilities, Tensor gradient, int[1]? dim) -> Tensor",
    cpu=_log_softmax_vjp_cpu,
    cuda=derivative_by_kernel("log_softmax_vjp"),
    generic=_log_softmax_vjp_generic,
    fake=_pair_fake,
    setup_context=_pair_context,
    backward=_log_softmax_vjp_backward,
    batch=_pair_batch(lambda: log_softmax_vjp),
)
softmax = define(
    "softmax(Tensor input, int[1]? dim, float temperature, Tensor? where) -> Tensor",
    cpu=_softmax_cpu,
    cuda=by_kernel("softmax"),
    generic=softmax_generic,
    fake=_activation_fake,
    setup_context=_activation_context,
    backward=_softmax_backward,
    batch=_activation_batch(lambda: softmax),
)
log_softmax = define(
    "log_softmax(Tensor input, int[1]? dim, float temperature, Tensor? where) -> Tensor",
    cpu=_log_softmax_cpu,
    cuda=by_kernel("log_softmax"),
    generic=log_softmax_generic,
    fake=_activation_fake,
    setup_context=_activation_context,
    backward=_log_softmax_backward,
    batch=_activation_batch(lambda: log_softmax),
)
logsumexp = define(
    "logsumexp(Tensor input, int[1]? dim, bool keepdim, Tensor? where) -> Tensor",
    cpu=_logsumexp_cpu,
    cuda=by_kernel("logsumexp"),
    generic=logsumexp_generic,
    fake=_logsumexp_fake,
    setup_context=_logsumexp_context,
    backward=_logsumexp_backward,
    batch=_logsumexp_batch,
    layout=None,
)
