"""The operators behind sigmoid_cross_entropy and its derivative."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ._differentiable_losses import Options, define_loss


def _shape(input: Tensor, options: Options) -> Sequence[int]:
    return input.shape if options[-1] == "none" else ()


def _times_upstream(result: Tensor, gradient: Tensor, options: Options) -> Tensor:
    """Apply the chain rule; masked entries stay 0 for any upstream gradient."""
    where = options[2]
    return result * gradient if where is None else torch.where(where, result * gradient, 0.0)


sigmoid_cross_entropy, sigmoid_cross_entropy_vjp, sigmoid_cross_entropy_generic = define_loss(
    "sigmoid_cross_entropy",
    (
        "Tensor? weight",
        "Tensor? pos_weight",
        "Tensor? where",
        "float label_smoothing",
        "float focal_gamma",
        "str reduction",
    ),
    shape_of=_shape,
    times_upstream=_times_upstream,
    gpu_module="sigmoid_losses_launch",
)
