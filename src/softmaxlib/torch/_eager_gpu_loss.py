"""The fast path for the commonest cross-entropy on a GPU: plain rows with labels, without weights or masks.

What is known of each row after the loss is kept for the gradient, which then reads the logits once: four
numbers a row. The operators, which compiled graphs take, read them twice.
"""

from typing import Any

import torch
from torch import Tensor

from . import _loss_operators as operators
from ._eager import are_labelled_rows, are_numbers, takes_fast_path
from ._gpu import device_of, kernels_for


def cross_entropy(
    input: Tensor,
    target: Tensor,
    label_smoothing: float,
    focal_gamma: float,
    z_loss: float,
    ignore_index: int | None,
    reduction: str,
) -> Any:
    """Compute the loss with its options, or return NotImplemented."""
    if not takes_fast_path(input, target, device="cuda") or label_smoothing != 0 or focal_gamma != 0:
        return NotImplemented
    if not are_numbers(label_smoothing, focal_gamma, z_loss):
        return NotImplemented
    kernels = _kernels(input, target)
    regular = 0 <= z_loss < float("inf") and reduction in ("mean", "sum", "none")
    if kernels is None or not regular or (ignore_index is not None and type(ignore_index) is not int):
        return NotImplemented
    options = kernels.Options(None, None, target.dim(), 0.0, ignore_index, 0.0, z_loss, reduction)
    if not kernels.takes_rows(input, target, options):
        return NotImplemented
    if input.requires_grad and torch.is_grad_enabled():
        return _CrossEntropy.apply(input, target, kernels, options)
    return _loss(input, target, kernels, options)[0]


def _kernels(input: Tensor, target: Tensor) -> Any:
    """Return the module of the kernels of rows, or None if they do not take these tensors."""
    return kernels_for("losses", input, target) if are_labelled_rows(input, target) else None


def _loss(input: Tensor, target: Tensor, kernels: Any, options: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the loss, the sums of the rows, and what the mean is divided by."""
    with device_of(input):
        losses, counts, sums = kernels.run_rows(input, target, options, loss=True)
        if options.reduction == "none":
            return losses.to(input.dtype).reshape(target.shape), sums, None
        total, count = losses.sum(), None
        if options.reduction == "mean":
            count = counts.sum()
            total = total / count
        return total.to(input.dtype), sums, count


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, target: Tensor, kernels: Any, options: Any) -> Tensor:
        loss, sums, count = _loss(input, target, kernels, options)
        ctx.save_for_backward(input, target, sums, count)
        ctx.kernels, ctx.options = kernels, options
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        (upstream,) = grad_outputs
        input, target, sums, count = ctx.saved_tensors
        if torch.is_grad_enabled() or not takes_fast_path(upstream, device=input.device.type):
            return operators.cross_entropy_vjp(upstream, input, target, *ctx.options), None, None, None
        with device_of(input):
            arriving = upstream.to(torch.float64)
            arriving = arriving if count is None else arriving / count
            result = torch.empty_like(input, memory_format=torch.contiguous_format)
            ctx.kernels.run_rows(
                input, target, ctx.options, loss=False, upstream=arriving, gradient=result, sums=sums
            )
        return result, None, None, None
