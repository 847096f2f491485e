"""Cross-entropy of logits whose classes are sharded over processes."""

from typing import Any

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from ..._renamed import checked_keywords
from ..losses import IGNORE_INDEX
from ._arguments import Arguments, shard_of_logits
from ._first_derivatives import first_derivative_only
from ._losses import (
    evaluate,
    in_layout_of_logits,
    keep_for_backward,
    shape_of_rows,
    upstream_of_rows,
)
from ._row_losses import gradients_of

__all__ = ["cross_entropy"]


@checked_keywords
def cross_entropy(
    local: Tensor,
    target: Tensor,
    class_weight: Tensor | None = None,
    *,
    group: ProcessGroup | None,
    first_class: int,
    rows_group: ProcessGroup | None = None,
    ignore_index: int | None = IGNORE_INDEX,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    z_loss: float = 0.0,
    where: Tensor | None = None,
) -> Tensor:
    """Compute the cross-entropy of logits whose classes are sharded over a process group.

    Each rank holds some classes of every row, as in the last layer of a network under tensor parallelism. The
    logits are not moved: ranks exchange some numbers per row.

    Parameters
    ----------
    local : Tensor, shape (k,), (N, k) or (N, k, d1, ...)
        The logits of this rank's k classes. Shards may differ in size, and k may be 0.
    target : Tensor
        Class indices of all rows in the whole vocabulary, the same on every rank. Or this rank's part of
        floating class probabilities, with the shape of `local`.
    class_weight : Tensor, shape (k,), optional
        One weight per class of this rank, which gets no gradient.
    group : ProcessGroup or None
        The ranks that share the classes. None means all processes.
    first_class : int
        Index of this rank's first class in the whole vocabulary.
    rows_group : ProcessGroup, optional
        Ranks that hold other rows of the same classes (data or sequence parallelism). The mean or sum is then
        over the rows of all of them.
    ignore_index, reduction, label_smoothing, focal_gamma, z_loss, where
        As in `softmaxlib.torch.cross_entropy`. Smoothing is over the whole vocabulary, and `where` masks this
        rank's classes.

    Returns
    -------
    Tensor
        The result of `softmaxlib.torch.cross_entropy` of all logits, with the same bits on every rank.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        As `softmaxlib.torch.cross_entropy`, and if rows, options or targets differ between ranks, shards
        overlap or leave out a class, or `class_weight` or class probabilities require a gradient. The error
        is raised on every rank, so no rank waits for another.

    Notes
    -----
    The loss has the same bits for any number and size of shards, because exponentials are added as integers,
    in which the order does not matter. It differs from the loss of all logits by at most 1 ULP (a focal loss
    in float64 is within 2 of the exact value, as that of all logits is). A confident row keeps its digits on
    any rank. There are two collectives forward, and none backward. A focal loss with smoothing or class
    probabilities has three. `rows_group` adds one, and so does a call with more rows than the last one of the
    group. Some numbers per row are kept for the backward pass. To ask for a
    second derivative is an error (NotImplementedError).

    The gradient is that of the returned number with respect to this rank's logits. DistributedDataParallel
    divides gradients by its number of ranks. With `rows_group`, multiply the loss by this number.

    Examples
    --------
    Run by ``torchrun --nproc-per-node 2``, with ``torch.distributed.init_process_group()`` before:

    >>> import torch
    >>> import torch.distributed as dist
    >>> from softmaxlib.torch import parallel
    >>> if dist.is_initialized():
    ...     logits = torch.tensor([[2.0, 1.0, 0.1, -1.0]])
    ...     first_class = 2 * dist.get_rank()
    ...     local = logits[:, first_class : first_class + 2]
    ...     loss = parallel.cross_entropy(local, torch.tensor([0]), group=None, first_class=first_class)
    """
    arguments = Arguments(
        target,
        class_weight,
        where,
        first_class,
        ignore_index,
        reduction,
        label_smoothing,
        focal_gamma,
        z_loss,
        rows_group,
    )
    return _CrossEntropy.apply(local, arguments, group)


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Any, arguments: Arguments, group: ProcessGroup | None) -> Tensor:
        result = evaluate(lambda: shard_of_logits(local, arguments), group, arguments.rows_group)
        ctx.save_for_backward(local)  # so that autograd notices a change in place
        keep_for_backward(ctx, result)
        loss = result.loss if result.denominator is not None else result.loss.view(shape_of_rows(local))
        return loss.to(local.dtype if local.is_floating_point() else torch.float64)

    @staticmethod
    @first_derivative_only(
        "cross_entropy has no second derivative for classes that are sharded; gather the shards, as "
        "full_tensor() of a DTensor does, and use softmaxlib.torch.cross_entropy"
    )
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (local,) = ctx.saved_tensors
        factor = upstream_of_rows(ctx, upstream[0])
        gradients = gradients_of(ctx.shard, ctx.kept, factor)
        return in_layout_of_logits(ctx.shard, gradients, local), None, None
