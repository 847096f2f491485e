"""Cross-entropy of binary logits on a GPU, and its derivative: where elements lie, and how they are cut."""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import sigmoid_losses
from .compiled import run
from .layout import rows_and_classes

_sigmoid_losses_kernel: Any = sigmoid_losses.sigmoid_losses_kernel
_WIDTH = 512  # elements of a program


class Options(NamedTuple):
    """The options of the loss, as its operators have them."""

    weight: Tensor | None
    pos_weight: Tensor | None
    where: Tensor | None
    label_smoothing: float
    focal_gamma: float
    reduction: str


def sigmoid_cross_entropy(input: Tensor, target: Tensor, *given: Any) -> Any:
    """Return the loss of logits, or NotImplemented."""
    options = Options(*given)
    if input.numel() == 0:
        return NotImplemented
    if options.reduction == "none":
        losses = torch.empty(input.shape, dtype=input.dtype, device=input.device)
        _launch(input, target, options, losses=losses)
        return losses
    sums = torch.empty(triton.cdiv(input.numel(), _WIDTH), dtype=torch.float64, device=input.device)
    _launch(input, target, options, sums=sums)
    total = sums.sum()
    return (total / _counted(input, options) if options.reduction == "mean" else total).to(input.dtype)


def sigmoid_cross_entropy_vjp(gradient: Tensor, input: Tensor, target: Tensor, *given: Any) -> Any:
    """Return the derivative times the upstream gradient, or NotImplemented."""
    options = Options(*given)
    if input.numel() == 0:
        return NotImplemented
    if options.reduction == "mean":
        gradient = gradient.to(torch.float64) / _counted(input, options)
    result = torch.empty_like(input)
    _launch(input, target, options, upstream=gradient, gradient=result)
    return result


def _counted(input: Tensor, options: Options) -> Tensor | int:
    """Return what the sum of the losses is divided by for their mean."""
    return input.numel() if options.where is None else options.where.expand(input.shape).sum()


def _launch(
    input: Tensor, target: Tensor, options: Options, *, losses: Tensor | None = None,
    sums: Tensor | None = None, upstream: Tensor | None = None, gradient: Tensor | None = None,
) -> None:  # fmt: skip
    """Fill the tensors that are given: the losses, their sums, or the gradient."""
    weight, pos_weight, where, smoothing, gamma, _reduction = options
    mask = None if where is None else where.expand(input.shape).view(torch.uint8)
    targets = target.view(torch.uint8) if target.dtype == torch.bool else target
    operands = (targets, weight, pos_weight, mask, upstream, losses, gradient)
    spread = [input if one is None else one.expand(input.shape) for one in operands]
    elements, _ = rows_and_classes((input, *spread), ())
    run(
        _sigmoid_losses_kernel, triton.cdiv(input.numel(), _WIDTH),
        input, *spread[:6], input if sums is None else sums, spread[6], input.numel(),
        elements.lengths, *elements.strides, smoothing, gamma,
        weight is not None, pos_weight is not None, where is not None, gamma != 0,
        input.dtype == torch.float64, losses is not None, gradient is not None, _WIDTH,
        num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip
