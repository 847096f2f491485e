"""The fast path for the commonest cross-entropy: plain CPU rows with labels, without weights or masks."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import _kernels
from ..losses._exact_sum import exact_sum
from . import _loss_operators as operators
from ._eager import DTYPES, are_labelled_rows, are_numbers, as_array, as_tensor, takes_fast_path


class _Rows(NamedTuple):
    """Two-dimensional views of logits, their checked labels, and the row sums of the losses."""

    logits: np.ndarray
    label: np.ndarray
    label_smoothing: float
    z_loss: float
    mean: bool

    @property
    def denominator(self) -> float:
        return float(self.label.size) if self.mean else 1.0

    def run(self, scale: float, gradient: np.ndarray | None) -> np.ndarray:
        losses = np.empty(self.label.size)
        _kernels.cross_entropy_rows(
            self.logits,
            self.label,
            None,
            None,
            None,
            self.label_smoothing,
            0.0,
            self.z_loss,
            scale,
            losses,
            gradient,
        )
        return losses


def cross_entropy(input: Tensor, target: Tensor, *options: Any) -> Any:
    """Compute the loss with its options, or return NotImplemented."""
    rows = _rows(input, target, *options)
    if rows is None:
        return NotImplemented
    if input.requires_grad and torch.is_grad_enabled():
        return _CrossEntropy.apply(input, target, rows, options)
    return _loss(rows)


def _loss(rows: _Rows) -> Tensor:
    total = exact_sum(rows.run(1.0, None))
    return as_tensor(np.array(total / rows.denominator, rows.logits.dtype))


def _rows(
    input: Tensor,
    target: Tensor,
    label_smoothing: float,
    focal_gamma: float,
    z_loss: float,
    ignore_index: int | None,
    reduction: str,
) -> _Rows | None:
    """Return the rows for the fast path; None if it can't be used, or an argument is invalid."""
    if not takes_fast_path(input, target) or focal_gamma != 0:
        return None
    if not are_numbers(label_smoothing, focal_gamma, z_loss):
        return None
    if input.dtype not in DTYPES or not are_labelled_rows(input, target):
        return None
    if not (0 <= label_smoothing < 1 and 0 <= z_loss < float("inf") and reduction in ("mean", "sum")):
        return None
    logits, label = as_array(input), np.ascontiguousarray(as_array(target))
    classes = logits.shape[-1]
    if label.min() < 0 or label.max() >= classes or (ignore_index is not None and ignore_index >= 0):
        return None
    return _Rows(logits.reshape(-1, classes), label.reshape(-1), label_smoothing, z_loss, reduction == "mean")


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, input: Tensor, target: Tensor, rows: _Rows, options: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(input, target)
        ctx.options = options
        return _loss(rows)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Any, ...]:
        (upstream,) = grad_outputs
        input, target = ctx.saved_tensors
        rows = (
            None
            if torch.is_grad_enabled() or not takes_fast_path(upstream)
            else _rows(input, target, *ctx.options)
        )
        if rows is None:
            label_smoothing, focal_gamma, z_loss, ignore_index, reduction = ctx.options
            rest = (label_smoothing, ignore_index, focal_gamma, z_loss, reduction)
            result = operators.cross_entropy_vjp(upstream, input, target, None, None, target.dim(), *rest)
        else:
            gradient = np.empty_like(rows.logits)
            rows.run(upstream.item() / rows.denominator, gradient)
            result = as_tensor(gradient.reshape(input.shape))
        return result, None, None, None
