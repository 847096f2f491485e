"""Cross-entropy of tensors on a GPU, and its derivative: which kernel, and how rows are cut."""

from typing import Any

import torch
import triton
from torch import Tensor

from . import loss_rows, narrow_loss_rows, option_losses_launch
from .arithmetic import scale_of
from .chunks import CHUNK
from .compiled import run
from .launch import DTYPES, SEGMENTS, plan, whole_tiles
from .option_losses_launch import Options
from .results import LOG_SOFTMAX

_loss_rows_kernel: Any = loss_rows.loss_rows_kernel
_narrow_loss_rows_kernel: Any = narrow_loss_rows.narrow_loss_rows_kernel


def takes_rows(input: Tensor, target: Tensor, options: Options) -> bool:
    """Return whether the kernels for class indices compute this loss: the classes of a row side by side."""
    return (
        input.dtype in DTYPES
        and target.dim() < input.dim()
        and not options.label_smoothing
        and not options.focal_gamma
        and options.where is None
        and input.dim() <= 2
        and input.stride(-1) == 1
    )


def _run(input: Tensor, target: Tensor, options: Options, **wanted: Any) -> tuple[Tensor, Tensor]:
    """Return the loss and weight of each row, where asked, and fill the gradient, where given."""
    gradient = wanted.get("gradient")
    if takes_rows(input, target, options) and (gradient is None or gradient.stride(-1) == 1):
        return run_rows(input, target, options, **wanted)[:2]
    return option_losses_launch.run(input, target, options, **wanted)


def run_rows(
    input: Tensor, target: Tensor, options: Options, *, loss: bool,
    upstream: Tensor | None = None, gradient: Tensor | None = None, sums: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the loss and weight of each row and its sums, where asked, and fill ``gradient``, where given.

    With the ``sums`` of a call without gradient, the rows are read once less.
    """
    weight, ignore_index = options.class_weight, options.ignore_index
    classes = input.shape[-1]
    logits = input.reshape(-1, classes)
    labels = target.reshape(-1).contiguous()
    rows = len(logits)
    terms = torch.empty(2, rows if loss else 0, dtype=torch.float64, device=input.device)
    written = logits if gradient is None else gradient.view(-1, classes)
    arriving = terms if upstream is None else upstream.reshape(-1).contiguous()
    known = sums
    if known is None:
        kept = rows if gradient is None else 0
        known = torch.empty(kept, 4, dtype=torch.float64, device=input.device)
    arguments = (
        *(logits, labels, logits if weight is None else weight.contiguous(), arriving),
        *(terms[0], terms[1], known, written),
        *(rows, classes, logits.stride(0), written.stride(0), 0 if arriving.numel() == 1 else 1),
        *(torch.iinfo(torch.int64).min if ignore_index is None else ignore_index, options.z_loss),
        *(*scale_of(1.0), weight is not None, loss, gradient is not None, sums is not None),
    )
    if input.dtype == torch.float32:
        _, blocks, warps, registers = plan(LOG_SOFTMAX.value, classes, True)
        run(
            _loss_rows_kernel, rows,
            *arguments, blocks, classes % 64 != 0, whole_tiles(classes, blocks),
            triton.cdiv(triton.cdiv(classes, CHUNK.value), SEGMENTS),
            num_warps=warps, maxnreg=registers, enable_fp_fusion=False,
        )  # fmt: skip
    else:
        tile, tiles, warps, registers = narrow_plan(classes, gradient is not None)
        run(
            _narrow_loss_rows_kernel, rows, *arguments, tile.bit_length() - 1, tiles,
            num_warps=warps, maxnreg=registers, enable_fp_fusion=False,
        )  # fmt: skip
    return terms[0], terms[1], known


def narrow_plan(classes: int, derivative: bool) -> tuple[int, int, int, int | None]:
    """Return for 16-bit logits the classes per tile, the tiles held, the warps, and the most registers."""
    tile = min(2048, triton.next_power_of_2(classes))
    tiles = min(4, triton.next_power_of_2(triton.cdiv(classes, tile)))
    return tile, tiles, max(1, tile // 256), None if derivative else 80


def losses_of_rows(logits: Tensor, target: Tensor, options: Options) -> Tensor:
    """Return the loss of each row in float64."""
    return _run(logits, target, options, loss=True)[0]


def losses_and_derivatives(logits: Tensor, target: Tensor, options: Options) -> Tensor:
    """Return the loss of each row in float64; its derivatives overwrite the logits."""
    one = torch.ones(1, dtype=torch.float64, device=logits.device)
    return _run(logits, target, options, loss=True, upstream=one, gradient=logits)[0]


def cross_entropy(input: Tensor, target: Tensor, *given: Any) -> Any:
    """Return the loss of logits, or NotImplemented."""
    options = Options(*given)
    if input.numel() == 0:
        return NotImplemented
    losses, counts = _run(input, target, options, loss=True)
    if options.reduction == "none":
        dim = options.dim
        return losses.to(input.dtype).reshape(input.shape[:dim] + input.shape[dim + 1 :])
    total = losses.sum()
    return (total / counts.sum() if options.reduction == "mean" else total).to(input.dtype)


def cross_entropy_vjp(gradient: Tensor, input: Tensor, target: Tensor, *given: Any) -> Any:
    """Return the derivative times the upstream gradient, or NotImplemented."""
    options = Options(*given)
    if input.numel() == 0:
        return NotImplemented
    upstream = gradient.to(torch.float64)
    if options.reduction == "mean":
        upstream = upstream / _counted(input, target, options)
    result = torch.empty_like(input)
    _run(input, target, options, loss=False, upstream=upstream, gradient=result)
    return result


def cross_entropy_vjp_vjp(
    second: Tensor, gradient: Tensor, input: Tensor, target: Tensor, *given: Any
) -> Any:
    """Return the derivatives of `cross_entropy_vjp` by what arrives and by the logits, or NotImplemented."""
    options = Options(*given)
    if input.numel() == 0:
        return NotImplemented
    upstream, count = gradient.to(torch.float64), None
    if options.reduction == "mean":
        count = _counted(input, target, options)
        upstream = upstream / count
    products, result = option_losses_launch.second_derivatives(second, upstream, input, target, options)
    if options.reduction == "none":
        return products.to(gradient.dtype).reshape(gradient.shape), result
    total = products.sum()
    return (total if count is None else total / count).to(gradient.dtype), result


def _counted(input: Tensor, target: Tensor, options: Options) -> Tensor | int:
    """Return what the sum of the losses is divided by for their mean."""
    if target.dim() == input.dim():
        return input.numel() // input.shape[options.dim]
    weight, ignored = options.class_weight, options.ignore_index
    if ignored is None and weight is None:
        return target.numel()
    counted = torch.ones_like(target, dtype=torch.bool) if ignored is None else target != ignored
    if weight is not None:  # a label out of range has no weight to look up: its row is NaN anyway
        known = counted & (target >= 0) & (target < len(weight))
        counted = torch.where(known, weight.to(torch.float64)[torch.where(known, target, 0)], 0.0)
    return counted.sum()
