"""Cross-entropy of logits whose classes are shared out over processes."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.distributed import ProcessGroup

from ..losses import IGNORE_INDEX
from ._arguments import Arguments, shard_of_logits
from ._losses import (
    evaluate,
    in_layout_of_logits,
    keep_for_backward,
    shape_of_rows,
    some,
    upstream_of_rows,
)
from ._row_losses import gradient_of

__all__ = ["cross_entropy"]


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
    """Compute the cross-entropy of logits whose classes lie on the ranks of a group.

    Each rank holds some classes of every row, a shard of the vocabulary, as the last layer of a network has
    them under tensor parallelism. The logits stay where they are: ranks exchange some numbers per row.

    Parameters
    ----------
    local : Tensor, shape (k,), (N, k) or (N, k, d1, ...)
        The logits of this rank's k classes. Shards may differ in size, and k may be 0.
    target : Tensor
        Class indices of all rows, counted over the whole vocabulary, the same on every rank; or this rank's
        classes of class probabilities, floating, of the shape of `local`.
    class_weight : Tensor, shape (k,), optional
        A factor for each of this rank's classes.
    group : ProcessGroup or None
        The ranks that share the classes; None means all processes.
    first_class : int
        The number of this rank's first class in the whole vocabulary.
    rows_group : ProcessGroup, optional
        Ranks that hold other rows of the same classes (data or sequence parallelism). The mean, or the sum,
        is then taken over the rows of all of them.
    ignore_index, reduction, label_smoothing, focal_gamma, z_loss, where
        As in `softmaxlib.torch.cross_entropy`; smoothing spreads over the whole vocabulary, and `where` masks
        this rank's classes.

    Returns
    -------
    Tensor
        As `softmaxlib.torch.cross_entropy` of the whole logits, the same bits on every rank.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        As `softmaxlib.torch.cross_entropy`, and where the ranks were given other rows, options or targets, or
        shards that leave a class out or hold it twice. It is raised on every rank, so none waits for another.

    Notes
    -----
    The loss has the same bits for every number of shards and wherever they are cut: exponentials are added up
    as integers, which no order changes. It is at most 1 ULP from the loss of the whole logits, and a
    confident row keeps its digits on whatever rank its class lies. Two collectives forward (three for a focal
    loss with smoothing or with class probabilities, and one more over `rows_group`), none backward. No array
    of the size of the logits is kept for the way back. There are no second derivatives.

    The gradient is that of the returned number by this rank's logits. DistributedDataParallel divides
    gradients by the number of its ranks: with `rows_group` multiply the loss by it.

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
        ctx.save_for_backward(local)  # so that a change of it in place is noticed
        keep_for_backward(ctx, result)
        loss = result.loss if result.denominator is not None else result.loss.view(shape_of_rows(local))
        return loss.to(local.dtype if local.is_floating_point() else torch.float64)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (local,) = ctx.saved_tensors
        factor = upstream_of_rows(ctx, upstream[0])

        def gradient(rows: slice) -> Tensor:
            return gradient_of(ctx.shard, rows, some(ctx.kept, rows), factor[rows])

        return in_layout_of_logits(ctx.shard, gradient, local), None, None
