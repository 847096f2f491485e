"""Log-probabilities of chosen classes, and the entropy, of logits sharded over processes."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributed import ProcessGroup

from ..._renamed import checked_keywords
from ..losses import IGNORE_INDEX
from ._arguments import Arguments, shard_of_logits
from ._first_derivatives import first_derivative_only
from ._losses import evaluate, in_layout_of_logits, keep_for_backward, shape_of_rows
from ._row_losses import entropy_gradient_of, gradients_of, rows_of

__all__ = ["LogProbabilityAndEntropy", "log_probability_and_entropy"]


class LogProbabilityAndEntropy(NamedTuple):
    """The log-probability and entropy of each row, for a policy gradient."""

    log_probability: Tensor
    entropy: Tensor


@checked_keywords
def log_probability_and_entropy(
    local: Tensor,
    target: Tensor,
    *,
    group: ProcessGroup | None,
    first_class: int,
    ignore_index: int | None = IGNORE_INDEX,
    where: Tensor | None = None,
) -> LogProbabilityAndEntropy:
    r"""Compute the log-probability of a chosen class and the entropy of each row, in one pass.

    Reinforcement learning of language models needs both. The classes are sharded over a process group:

    .. math:: \log p_y \quad\text{and}\quad -\sum_c p_c \log p_c

    Parameters
    ----------
    local : Tensor, shape (k,), (N, k) or (N, k, d1, ...)
        The logits of this rank's k classes.
    target : Tensor of int
        The chosen class of all rows in the whole vocabulary, the same on every rank.
    group, first_class, ignore_index, where
        As in `softmaxlib.torch.parallel.cross_entropy`.

    Returns
    -------
    LogProbabilityAndEntropy
        Named tuple (log_probability, entropy) with one number per row, in nats, and the same bits on every
        rank. Ignored rows give 0. Both have gradients.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        As `softmaxlib.torch.parallel.cross_entropy`, on every rank.

    Notes
    -----
    The bits are the same for any number of shards. There are two collectives forward, and none backward.
    To ask for a second derivative is an error (NotImplementedError).

    Examples
    --------
    Run by ``torchrun``, with ``torch.distributed.init_process_group()`` before:

    >>> import torch
    >>> import torch.distributed as dist
    >>> from softmaxlib.torch import parallel
    >>> if dist.is_initialized():
    ...     result = parallel.log_probability_and_entropy(
    ...         torch.zeros(4, 8), torch.tensor([1, 2, 3, 4]), group=None, first_class=8 * dist.get_rank()
    ...     )
    ...     objective = (result.log_probability + 0.01 * result.entropy).sum()
    """
    arguments = Arguments(target, None, where, first_class, ignore_index, "none", 0.0, 0.0, 0.0, None)
    return LogProbabilityAndEntropy(*_LogProbabilityAndEntropy.apply(local, arguments, group))


class _LogProbabilityAndEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, local: Any, arguments: Arguments, group: ProcessGroup | None
    ) -> tuple[Tensor, Tensor]:
        result = evaluate(lambda: shard_of_logits(local, arguments, with_entropy=True), group, None)
        entropy = result.kept.entropy
        assert entropy is not None
        ctx.save_for_backward(local)
        keep_for_backward(ctx, result)
        dtype = local.dtype if local.is_floating_point() else torch.float64
        shape = shape_of_rows(local)
        return (-result.loss).view(shape).to(dtype), entropy.view(shape).to(dtype, copy=True)

    @staticmethod
    @first_derivative_only(
        "log_probability_and_entropy has no second derivative; gather the shards and use "
        "softmaxlib.torch.log_softmax"
    )
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (local,) = ctx.saved_tensors
        of_log_probability, of_entropy = (one.double().reshape(-1) for one in upstream)
        shard, kept = ctx.shard, ctx.kept
        gradients = (
            (rows, one.add_(entropy_gradient_of(shard, rows, rows_of(kept, rows), of_entropy[rows])))
            for rows, one in gradients_of(shard, kept, -of_log_probability)
        )
        return in_layout_of_logits(shard, gradients, local), None, None
