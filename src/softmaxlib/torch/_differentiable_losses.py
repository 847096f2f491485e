"""Definition of a loss as PyTorch operators: the loss, its derivative by the logits, and that one's."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic
from .. import losses as numpy_functions
from .._frameworks import as_graph_node
from ._gpu import by_module
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

Options = tuple[Any, ...]


class LossOperators(NamedTuple):
    """The operators of a loss, and its definition in tensor operations, differentiable by itself."""

    loss: Callable[..., Any]
    vjp: Callable[..., Any]
    generic: Callable[..., Any]


def define_loss(
    name: str,
    options: Sequence[str],
    *,
    shape_of: Callable[[Tensor, Options], Sequence[int]],
    times_upstream: Callable[[Tensor, Tensor, Options], Tensor],
    gpu_module: str,
) -> LossOperators:
    """Register ``softmaxlib::<name>(input, target, options)`` and ``<name>_vjp(gradient, input, ...)``.

    Parameters
    ----------
    name : str
        The name of the NumPy function; its gradient and its definition are named after it.
    options : sequence of str
        The arguments after input and target, in the form of a schema: tensors first, the mask last of these.
        ``dim`` is the ``axis`` of the plain function.
    shape_of : callable
        The shape of the loss, given the logits and the options.
    times_upstream : callable
        The chain rule, given the derivative, the upstream gradient and the options.
    gpu_module : str
        The module of `_triton` that has functions with the operators' names.
    """
    schema = ", ".join(options)
    names = [option.split()[-1] for option in options]
    names = ["axis" if one == "dim" else one for one in names]
    tensors = 2 + sum(option.startswith("Tensor") for option in options)
    loss_of, derivative_of = (getattr(numpy_functions, name + end) for end in ("", "_grad"))
    loss_by_definition, derivative_by_definition = (getattr(_generic, name + end) for end in ("", "_grad"))

    def named(given: Options) -> dict[str, Any]:
        return dict(zip(names, given, strict=True))

    def as_numpy(given: Options) -> dict[str, Any]:
        return named(tuple(view_as_numpy(one) if isinstance(one, Tensor) else one for one in given))

    @as_graph_node
    def generic(input: Tensor, target: Tensor, *given: Any) -> Tensor:
        return loss_by_definition(namespace, widened(input), target, **named(given)).to(input.dtype)

    def loss_cpu(input: Tensor, target: Tensor, *given: Any) -> Tensor:
        loss = loss_of(view_as_numpy(input), view_as_numpy(target), **as_numpy(given))
        return fill_from_numpy(loss_fake(input, target, *given), loss)

    def loss_fake(input: Tensor, target: Tensor, *given: Any) -> Tensor:
        return input.new_empty(tuple(shape_of(input, given)))

    def loss_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.options = inputs[tensors:]
        ctx.save_for_backward(*inputs[:tensors])

    def loss_backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        saved = ctx.saved_tensors  # asked for once: activation checkpointing computes them anew each time
        input, *others, where = saved
        of_input = vjp(gradient, *saved, *ctx.options) if ctx.needs_input_grad[0] else None

        def loss(*others: Tensor) -> Tensor:
            return generic(input, *others, where, *ctx.options)

        of_others = pull_back(loss, gradient, tuple(others), ctx.needs_input_grad[1 : tensors - 1])
        return of_input, *of_others, *(None,) * (1 + len(ctx.options))

    def vjp_cpu(gradient: Tensor, input: Tensor, target: Tensor, *given: Any) -> Tensor:
        # the share of a row may be too small for float16 until the upstream gradient scales it
        logits = input.float() if input.dtype == torch.float16 else input
        result = torch.empty_like(logits)
        derivative_of(
            view_as_numpy(logits), view_as_numpy(target), **as_numpy(given), out=view_as_numpy(result)
        )
        return in_layout_of(times_upstream(result, gradient, given).to(input.dtype), input)

    def vjp_generic(gradient: Tensor, input: Tensor, target: Tensor, *given: Any) -> Tensor:
        _, result = derivative_by_definition(namespace, widened(input), target, **named(given))
        return times_upstream(result, gradient, given).to(input.dtype)

    def vjp_fake(gradient: Tensor, input: Tensor, target: Tensor, *given: Any) -> Tensor:
        return torch.empty_like(input)

    def vjp_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.options = inputs[1 + tensors :]
        ctx.save_for_backward(*inputs[: 1 + tensors])

    def vjp_backward(ctx: Any, second: Tensor) -> tuple[Any, ...]:
        saved = ctx.saved_tensors
        gradient, input, *others, where = saved
        needed = ctx.needs_input_grad
        of_first, known = (None, None), 0
        if gradient.is_cuda:
            known = 2
            if needed[0] or needed[1]:
                of_first = vjp_vjp(second, *saved, *ctx.options)

        def first(*varied: Tensor) -> Tensor:
            return vjp_generic(*(gradient, input)[:known], *varied, where, *ctx.options)

        varied = (gradient, input, *others)[known:]
        of_varied = pull_back(first, second, varied, needed[known:tensors])
        return *of_first[:known], *of_varied, *(None,) * (1 + len(ctx.options))

    def second_generic(second: Tensor, gradient: Tensor, input: Tensor, *given: Any) -> tuple[Any, ...]:
        def first(gradient: Tensor, input: Tensor) -> Tensor:
            return vjp_generic(gradient, input, *given)

        return tuple(pull_back(first, second, (gradient, input), (True, True)))

    def second_fake(second: Tensor, gradient: Tensor, input: Tensor, *given: Any) -> tuple[Tensor, ...]:
        return torch.empty_like(gradient), torch.empty_like(input)

    def second_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.options = inputs[2 + tensors :]
        ctx.save_for_backward(*inputs[: 2 + tensors])

    def second_backward(ctx: Any, *third: Tensor) -> tuple[Any, ...]:
        *varied, where = ctx.saved_tensors

        def both(*varied: Tensor) -> tuple[Tensor, ...]:
            return second_generic(*varied, where, *ctx.options)

        of_varied = pull_back(both, third, tuple(varied), ctx.needs_input_grad[: 1 + tensors])
        return *of_varied, *(None,) * (1 + len(ctx.options))

    vjp_vjp = define(
        f"{name}_vjp_vjp(Tensor second, Tensor gradient, Tensor input, Tensor target, {schema}) "
        "-> (Tensor, Tensor)",
        cuda=by_module(gpu_module, f"{name}_vjp_vjp"),
        generic=second_generic,
        fake=second_fake,
        setup_context=second_context,
        backward=second_backward,
        batch=loop_over_batch(lambda *inputs: vjp_vjp(*inputs)),
        layout=(1, 2),
    )

    vjp = define(
        f"{name}_vjp(Tensor gradient, Tensor input, Tensor target, {schema}) -> Tensor",
        cpu=vjp_cpu,
        cuda=by_module(gpu_module, f"{name}_vjp"),
        generic=vjp_generic,
        fake=vjp_fake,
        setup_context=vjp_context,
        backward=vjp_backward,
        batch=loop_over_batch(lambda *inputs: vjp(*inputs)),
        layout=1,
    )
    loss = define(
        f"{name}(Tensor input, Tensor target, {schema}) -> Tensor",
        cpu=loss_cpu,
        cuda=by_module(gpu_module, name),
        generic=generic,
        fake=loss_fake,
        setup_context=loss_context,
        backward=loss_backward,
        batch=loop_over_batch(lambda *inputs: loss(*inputs)),
        layout=None,
        autocast=WIDE,
    )
    return LossOperators(loss, vjp, generic)
