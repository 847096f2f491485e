"""Cross-entropy of tensors on a GPU, and its derivative, by the kernels for rows."""

from typing import Any

import torch
import triton
from torch import Tensor

from . import loss_rows, narrow_loss_rows
from .arithmetic import scale_of
from .chunks import CHUNK
from .launch import DTYPES, SEGMENTS

_loss_rows_kernel: Any = loss_rows.loss_rows_kernel
_narrow_loss_rows_kernel: Any = narrow_loss_rows.narrow_loss_rows_kernel


def _takes(
    input: Tensor, target: Tensor, weight: Tensor | None, where: Tensor | None,
    label_smoothing: float, focal_gamma: float,
) -> bool:  # fmt: skip
    """Return whether the kernels compute this loss: of class indices, the classes of a row side by side."""
    return (
        input.dtype in DTYPES
        and not target.is_floating_point()
        and not label_smoothing
        and not focal_gamma
        and where is None
        and (weight is None or weight.device == input.device)
        and input.numel() > 0
        and input.dim() <= 2
        and input.stride(-1) == 1
    )


def _launch(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int | None, z_loss: float,
    *, loss: bool, upstream: Tensor | None = None, gradient: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the loss and weight of each row, where asked, and fill ``gradient``, where given."""
    classes = input.shape[-1]
    logits = input.reshape(-1, classes)
    labels = target.reshape(-1).contiguous()
    rows = len(logits)
    terms = torch.empty(2, rows if loss else 0, dtype=torch.float64, device=input.device)
    written = logits if gradient is None else gradient.view(-1, classes)
    arriving = terms if upstream is None else upstream.reshape(-1)
    arguments = (
        *(logits, labels, logits if weight is None else weight, arriving, terms[0], terms[1], written),
        *(rows, classes, logits.stride(0), written.stride(0), 0 if arriving.numel() == 1 else 1),
        *(torch.iinfo(torch.int64).min if ignore_index is None else ignore_index, z_loss, *scale_of(1.0)),
        *(weight is not None, loss, gradient is not None),
    )
    if input.dtype == torch.float32:
        blocks = min(8, triton.next_power_of_2(triton.cdiv(classes, 512)))
        _loss_rows_kernel[(rows,)](
            *arguments, blocks, classes % 64 != 0, classes % (512 * blocks) == 0,
            triton.cdiv(triton.cdiv(classes, CHUNK.value), SEGMENTS),
            num_warps=max(1, blocks // 2), maxnreg=96, enable_fp_fusion=False,
        )  # fmt: skip
    else:
        tile, tiles = narrow_plan(classes)
        _narrow_loss_rows_kernel[(rows,)](
            *arguments, tile.bit_length() - 1, tiles, num_warps=max(1, tile // 256), enable_fp_fusion=False
        )
    return terms[0], terms[1]


def narrow_plan(classes: int) -> tuple[int, int]:
    """Return the number of classes of 16-bit logits per tile, and the number of tiles held."""
    tile = min(2048, triton.next_power_of_2(classes))
    return tile, min(4, triton.next_power_of_2(triton.cdiv(classes, tile)))


def losses_of_rows(logits: Tensor, target: Tensor, ignore_index: int | None, z_loss: float) -> Tensor:
    """Return the loss of each row in float64."""
    return _launch(logits, target, None, ignore_index, z_loss, loss=True)[0]


def losses_and_derivatives(logits: Tensor, target: Tensor, ignore_index: int | None, z_loss: float) -> Tensor:
    """Return the loss of each row in float64; its derivatives overwrite the logits."""
    one = torch.ones(1, dtype=torch.float64, device=logits.device)
    options = None, ignore_index, z_loss
    return _launch(logits, target, *options, loss=True, upstream=one, gradient=logits)[0]


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, where: Tensor | None, *options: Any
) -> Any:
    """Return the loss of logits with class indices, or NotImplemented."""
    _, smoothing, ignore_index, focal, z_loss, reduction = options
    if not _takes(input, target, weight, where, smoothing, focal):
        return NotImplemented
    losses, counts = _launch(input, target, weight, ignore_index, z_loss, loss=True)
    if reduction == "none":
        return losses.to(input.dtype).reshape(target.shape)
    total = losses.sum()
    return (total / counts.sum() if reduction == "mean" else total).to(input.dtype)


def cross_entropy_vjp(
    gradient: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    where: Tensor | None,
    *options: Any,
) -> Any:
    """Return the derivative times the upstream gradient, or NotImplemented."""
    _, smoothing, ignore_index, focal, z_loss, reduction = options
    if not _takes(input, target, weight, where, smoothing, focal):
        return NotImplemented
    upstream = gradient.to(torch.float64)
    if reduction == "mean":
        counted = (
            torch.ones_like(target, dtype=torch.bool) if ignore_index is None else target != ignore_index
        )
        if weight is not None:
            counted = torch.where(counted, weight.to(torch.float64)[torch.where(counted, target, 0)], 0.0)
        upstream = upstream / counted.sum()
    result = torch.empty_like(input, memory_format=torch.contiguous_format)
    _launch(input, target, weight, ignore_index, z_loss, loss=False, upstream=upstream, gradient=result)
    return result
