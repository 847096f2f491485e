"""Cross-entropy of binary logits on a GPU, and its derivative: where elements lie, and how they are cut."""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import sigmoid_losses
from .compiled import run
from .layout import Dimensions, rows_and_classes

_sigmoid_losses_kernel: Any = sigmoid_losses.sigmoid_losses_kernel
_second_sigmoid_losses_kernel: Any = sigmoid_losses.second_sigmoid_losses_kernel
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


def sigmoid_cross_entropy_vjp_vjp(
    second: Tensor, gradient: Tensor, input: Tensor, target: Tensor, *given: Any
) -> Any:
    """Return the derivatives of the derivative by what arrives and by the logits, or NotImplemented."""
    options = Options(*given)
    if input.numel() == 0:
        return NotImplemented
    upstream, count = gradient, None
    if options.reduction == "mean":
        count = _counted(input, options)
        upstream = gradient.to(torch.float64) / count
    each = options.reduction == "none"
    result, products = torch.empty_like(input), torch.empty_like(gradient)
    sums = torch.empty(triton.cdiv(input.numel(), _WIDTH), dtype=torch.float64, device=input.device)
    operands = (upstream, second, products if each else None)
    spread, elements = _spread(input, target, options, *operands, result)
    run(
        _second_sigmoid_losses_kernel, triton.cdiv(input.numel(), _WIDTH),
        input, *spread[:-1], sums, spread[-1], input.numel(), elements.lengths, *elements.strides,
        *_constants(input, options), each, _WIDTH, num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip
    if each:
        return products, result
    total = sums.sum()
    return (total if count is None else total / count).to(gradient.dtype), result


def _counted(input: Tensor, options: Options) -> Tensor | int:
    """Return what the sum of the losses is divided by for their mean."""
    return input.numel() if options.where is None else options.where.expand(input.shape).sum()


def _launch(
    input: Tensor, target: Tensor, options: Options, *, losses: Tensor | None = None,
    sums: Tensor | None = None, upstream: Tensor | None = None, gradient: Tensor | None = None,
) -> None:  # fmt: skip
    """Fill the tensors that are given: the losses, their sums, or the gradient."""
    spread, elements = _spread(input, target, options, upstream, losses, gradient)
    run(
        _sigmoid_losses_kernel, triton.cdiv(input.numel(), _WIDTH),
        input, *spread[:-1], input if sums is None else sums, spread[-1], input.numel(),
        elements.lengths, *elements.strides, *_constants(input, options),
        losses is not None, gradient is not None, _WIDTH,
        num_warps=4, enable_fp_fusion=False,
    )  # fmt: skip


def _spread(
    input: Tensor, target: Tensor, options: Options, *others: Tensor | None
) -> tuple[list[Tensor], Dimensions]:
    """Return target, weights, mask and others in the shape of the logits, and how all of them lie."""
    weight, pos_weight, where = options[:3]
    mask = None if where is None else where.expand(input.shape).view(torch.uint8)
    targets = target.view(torch.uint8) if target.dtype == torch.bool else target
    operands = (targets, weight, pos_weight, mask, *others)
    spread = [input if one is None else one.expand(input.shape) for one in operands]
    return spread, rows_and_classes((input, *spread), ())[0]


def _constants(input: Tensor, options: Options) -> tuple[Any, ...]:
    """Return the numbers of the options, and what a kernel is compiled for."""
    weight, pos_weight, where, smoothing, gamma, _reduction = options
    known = weight is not None, pos_weight is not None, where is not None
    return smoothing, gamma, *known, gamma != 0, input.dtype == torch.float64
