"""The operators behind the second derivatives of softmax and log_softmax.

They are the derivatives of what is derived once: of `softmax_jvp` and `log_softmax_vjp`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._gpu import derivative_by_kernel
from ._operators import all_dims, define, loop_over_batch, pull_back, widened


def _define(name: str, tensors: tuple[str, ...], definition: Callable[..., Tensor]) -> Any:
    """Register ``softmaxlib::<name>(tensors, dim)``, of which the definition gets widened tensors."""
    number = len(tensors)

    def generic(*inputs: Any) -> Tensor:
        *given, dim = inputs
        dims = all_dims(dim, given[0].dim())
        return definition(*map(widened, given), dims).to(given[0].dtype)

    def fake(*inputs: Any) -> Tensor:
        return torch.empty_like(inputs[0])

    def context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        *given, ctx.dim = inputs
        ctx.save_for_backward(*given)

    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        def of_tensors(*given: Tensor) -> Tensor:
            return generic(*given, ctx.dim)

        found = pull_back(of_tensors, gradient, ctx.saved_tensors, ctx.needs_input_grad[:number])
        return *found, None

    operator = define(
        f"{name}({', '.join(f'Tensor {one}' for one in tensors)}, int[1]? dim) -> Tensor",
        generic=generic,
        cuda=derivative_by_kernel(name),
        fake=fake,
        setup_context=context,
        backward=backward,
        batch=loop_over_batch(lambda *inputs: operator(*inputs)),
    )
    return operator


def _jvp_by_probabilities(p: Tensor, t: Tensor, g: Tensor, dims: list[int]) -> Tensor:
    return g * t - g * (p * t).sum(dims, keepdim=True) - t * (p * g).sum(dims, keepdim=True)


def _vjp_by_logarithms(log_p: Tensor, g: Tensor, second: Tensor, dims: list[int]) -> Tensor:
    return -second * torch.exp(log_p) * g.sum(dims, keepdim=True)


def _jvp_of_logarithms(log_p: Tensor, t: Tensor, dims: list[int]) -> Tensor:
    return t - (t * torch.exp(log_p)).sum(dims, keepdim=True)


softmax_jvp_by_probabilities = _define(
    "softmax_jvp_by_probabilities", ("probabilities", "tangent", "gradient"), _jvp_by_probabilities
)
log_softmax_vjp_by_logarithms = _define(
    "log_softmax_vjp_by_logarithms", ("log_probabilities", "gradient", "second"), _vjp_by_logarithms
)
log_softmax_jvp = _define("log_softmax_jvp", ("log_probabilities", "tangent"), _jvp_of_logarithms)
