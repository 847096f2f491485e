"""Cross-entropy with any option on tensors, and its derivative: where rows lie, and how they are cut."""

from typing import Any, NamedTuple

import torch
import triton
from torch import Tensor

from . import compiled, option_losses, second_losses
from .arithmetic import scale_of
from .double_launch import cut
from .layout import rows_and_classes, rows_of

_option_losses_kernel: Any = option_losses.option_losses_kernel
_second_losses_kernel: Any = second_losses.second_losses_kernel


class Options(NamedTuple):
    """The options of a loss, as its operators have them."""

    class_weight: Tensor | None
    where: Tensor | None
    dim: int
    label_smoothing: float
    ignore_index: int | None
    focal_gamma: float
    z_loss: float
    reduction: str


def run(
    input: Tensor, target: Tensor, options: Options,
    *, loss: bool, upstream: Tensor | None = None, gradient: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the loss and weight of each row, where asked, and fill ``gradient``, where given."""
    weight, where, dim = options[:3]
    by_label = target.dim() < input.dim()
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    written = input if gradient is None else gradient
    probabilities = input if by_label else target
    outer, inner = rows_and_classes((input, probabilities, written, mask), [dim])
    rows, classes = rows_of(input, inner)
    terms = torch.empty(2, rows if loss else 0, dtype=torch.float64, device=input.device)
    arriving = terms if upstream is None else upstream.reshape(-1).contiguous()
    together, width, warps = cut(classes, inner)
    compiled.run(
        _option_losses_kernel, triton.cdiv(rows, together),
        input, target.reshape(-1).contiguous() if by_label else target,
        input if weight is None else weight.contiguous(), mask,
        arriving, terms[0], terms[1], written, rows, classes,
        outer.lengths, *outer.strides, inner.lengths, *inner.strides,
        0 if arriving.numel() == 1 else 1, _ignored(options),
        options.label_smoothing, options.focal_gamma, options.z_loss, *scale_of(1.0)[:2],
        by_label, weight is not None, where is not None, options.label_smoothing != 0,
        options.focal_gamma != 0, input.dtype == torch.float64, loss, gradient is not None, together, width,
        num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    return terms[0], terms[1]


def second_derivatives(
    second: Tensor, upstream: Tensor, input: Tensor, target: Tensor, options: Options
) -> tuple[Tensor, Tensor]:
    """Return the product of a tangent with the gradient of each row, and with its Hessian times upstream."""
    weight, where, dim = options[:3]
    by_label = target.dim() < input.dim()
    mask = input if where is None else where.expand(input.shape).view(torch.uint8)
    result = torch.empty_like(input)
    outer, inner = rows_and_classes((input, input if by_label else target, second, result, mask), [dim])
    rows, classes = rows_of(input, inner)
    products = torch.empty(rows, dtype=torch.float64, device=input.device)
    arriving = upstream.reshape(-1).contiguous()
    together, width, warps = cut(classes, inner)
    compiled.run(
        _second_losses_kernel, triton.cdiv(rows, together),
        input, target.reshape(-1).contiguous() if by_label else target,
        input if weight is None else weight.contiguous(), mask,
        arriving, second, products, result, rows, classes,
        outer.lengths, *outer.strides, inner.lengths, *inner.strides,
        0 if arriving.numel() == 1 else 1, _ignored(options),
        options.label_smoothing, options.focal_gamma, options.z_loss, *scale_of(1.0)[:2],
        by_label, weight is not None, where is not None, options.label_smoothing != 0,
        options.focal_gamma != 0, input.dtype == torch.float64, together, width,
        num_warps=warps, enable_fp_fusion=False,
    )  # fmt: skip
    return products, result


def _ignored(options: Options) -> int:
    """Return the label of rows that are ignored, or one that no row has."""
    return torch.iinfo(torch.int64).min if options.ignore_index is None else options.ignore_index
