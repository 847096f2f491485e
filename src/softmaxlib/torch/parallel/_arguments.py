"""Checked arguments of a shard, as rows of classes, and the settings that all ranks must share."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..._arrays import check_real_dtype
from ..._checks import (
    check_class_weight,
    check_class_weight_shape,
    check_integer,
    check_label_dtype,
    check_reduction,
    check_target_shape,
    row_shape,
)
from ...errors import InvalidInputError
from ...losses._loss_arguments import LossOptions
from .._operators import as_floating, check_tensor, check_where, view_as_numpy, widened
from ..losses import IGNORE_INDEX
from ._exchange import Claim, pack_weights
from ._shards import Shard, row_blocks


class Arguments(NamedTuple):
    """The arguments of a loss on a shard besides the logits."""

    target: Tensor
    class_weight: Tensor | None
    where: Tensor | None
    first_class: int
    ignore_index: int | None
    reduction: str
    label_smoothing: float
    focal_gamma: float
    z_loss: float
    rows_group: Any

    def options(self, ignore_index: int | None) -> LossOptions:
        """Return the options, checked."""
        if self.rows_group is not None and check_reduction(self.reduction) == "none":
            raise InvalidInputError(
                "rows_group shares the rows of a mean or sum, and reduction is 'none'; leave one of them out"
            )
        return LossOptions(
            -1,
            None,
            self.label_smoothing,
            ignore_index,
            self.focal_gamma,
            self.z_loss,
            None,
            check_reduction(self.reduction),
        )


def shard_of_logits(local: Tensor, arguments: Arguments, with_entropy: bool = False) -> tuple[Claim, Shard]:
    """Return a shard of logits (N, K, ...), and the description of this rank's arguments."""
    target, weight, where = arguments.target, arguments.class_weight, arguments.where
    local = as_floating(local, None, "local").detach()
    check_tensor(target, "target")
    if local.dim() == 0:
        raise InvalidInputError(
            "local must have the classes along dimension 1, or 0 of a single row; got a number"
        )
    dim = 1 if local.dim() > 1 else 0
    shape, classes = tuple(local.shape), local.shape[dim]
    check_where(where, local)
    first_class = check_integer(arguments.first_class, "first_class", lower=0)
    ignore_index = arguments.ignore_index
    if target.is_floating_point() and ignore_index == IGNORE_INDEX:
        ignore_index = None
    check_class_weight_shape(weight, classes)
    by_index = check_target_shape(tuple(target.shape), shape, row_shape(shape, (dim,)), ignore_index)
    if by_index:
        check_label_dtype(target.dtype, "target")
    else:
        check_real_dtype(target.dtype, "target")
        _refuse_gradient(target, "target")
    rows = local.numel() // classes if classes else row_count(shape, dim)

    def in_rows(tensor: Tensor) -> Tensor:
        return tensor.detach().movedim(dim, -1).reshape(rows, classes)

    matrix = in_rows(local)
    shard = Shard(
        logits=lambda part: widened(matrix[part]),
        rows=rows,
        classes=classes,
        first_class=first_class,
        target=target,
        label=label_of(target) if by_index else None,
        ignore_index=ignore_index,
        distribution=None if by_index else _checked_distribution(in_rows(target)),
        weight=check_weight(weight, classes, local.device),
        where=None if where is None else in_rows(where.expand(local.shape)),
        options=arguments.options(ignore_index),
        wide=local.dtype == torch.float64,
        with_entropy=with_entropy,
        device=local.device,
        dtype=local.dtype,
    )
    given = {"dtype": local.dtype, "class_weight": weight is not None, "where": where is not None}
    return claim_of(shard, given), shard


def claim_of(shard: Shard, given: dict[str, Any]) -> Claim:
    """Describe the arguments of this rank, for comparison by the other ranks."""
    options = shard.options
    numbers = {
        "reduction": options.reduction,
        "label_smoothing": options.label_smoothing,
        "ignore_index": options.ignore_index,
        "focal_gamma": options.focal_gamma,
        "z_loss": options.z_loss,
        "class indices": shard.label is not None,
    }
    text = ", ".join(f"{name}={value}" for name, value in (numbers | given).items())
    weights = pack_weights(shard.weight)
    return Claim(shard.rows, shard.first_class, shard.classes, _digest(shard), weights, text)


def label_of(target: Tensor) -> Tensor:
    """Return the class index of each row."""
    return target.detach().reshape(-1)


def row_count(shape: tuple[int, ...], dim: int) -> int:
    """Return the number of rows, even if there is no class."""
    return torch.Size(row_shape(shape, (dim,))).numel()


def check_weight(weight: Tensor | None, classes: int, device: torch.device) -> Tensor | None:
    """Return the weights of a shard's classes in float64, checked."""
    if weight is None:
        return None
    check_tensor(weight, "class_weight")
    _refuse_gradient(weight, "class_weight")
    if classes:
        check_class_weight(view_as_numpy(weight.cpu()), classes)
    return weight.detach().to(device, torch.float64)


def _refuse_gradient(tensor: Tensor, name: str) -> None:
    """Reject a tensor that would not get the gradient it requires."""
    if tensor.requires_grad:
        raise InvalidInputError(
            f"{name} has no gradient here, got one that requires it; pass {name}.detach(), or gather the "
            "shards and use softmaxlib.torch.cross_entropy"
        )


def _checked_distribution(rows: Tensor) -> Tensor:
    """Reject negative probabilities and NaN; sums are checked over all shards."""
    least = rows.amin(1) if rows.shape[1] else rows.new_zeros(rows.shape[0])
    wrong = ~((least >= 0) & (least <= 1))
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise InvalidInputError(
            "each row of target must be probabilities: none negative, with sum 1 over all shards; got the "
            f"probability {float(least[row]):.6g} in row {row}; apply softmax over all shards first"
        )
    return rows


def _digest(shard: Shard) -> int:
    """Return a digest: other labels almost certainly give another number."""
    if shard.label is None:
        return 0
    total = torch.zeros((), dtype=torch.int64, device=shard.device)
    for rows in row_blocks(shard.rows):
        label = shard.labels(rows).long()
        places = 2 * torch.arange(rows.start, rows.start + label.numel(), device=shard.device)
        places = (1 + places) * 0x9E3779B97F4A7C1
        total += ((label + 1) * (places ^ (places >> 29))).sum()
    return int(total)
