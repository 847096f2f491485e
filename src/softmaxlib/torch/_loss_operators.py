"""The operators behind cross_entropy and its derivative."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ._differentiable_losses import Options, define_loss


def _shape(input: Tensor, options: Options) -> Sequence[int]:
    dim = options[2]
    return input.shape[:dim] + input.shape[dim + 1 :] if options[-1] == "none" else ()


def _times_upstream(result: Tensor, gradient: Tensor, options: Options) -> Tensor:
    """Apply the chain rule; exact zeros (ignored, masked) stay 0 for any upstream gradient."""
    upstream = gradient.unsqueeze(options[2]) if options[-1] == "none" else gradient
    if options[1] is None and options[4] is None:
        return result * upstream
    # the other factor becomes 0, not the product: where that is 0 at a minimum, its derivative is not
    return result * torch.where((result == 0) & ~torch.isfinite(upstream), 0.0, upstream)


cross_entropy, cross_entropy_vjp, cross_entropy_generic = define_loss(
    "cross_entropy",
    (
        "Tensor? class_weight",
        "Tensor? where",
        "int dim",
        "float label_smoothing",
        "int? ignore_index",
        "float focal_gamma",
        "float z_loss",
        "str reduction",
    ),
    shape_of=_shape,
    times_upstream=_times_upstream,
    gpu_module="losses",
)
