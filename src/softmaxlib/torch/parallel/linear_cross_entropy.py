"""Cross-entropy of a linear layer whose classes are sharded over processes."""

from collections.abc import Callable
from typing import Any

import torch
from array_api_compat import torch as namespace
from torch import Tensor
from torch.distributed import ProcessGroup

from ... import _generic
from ..._checks import check_integer, check_label_dtype, check_layer_shapes, check_softcap, rows_of_logits
from ..._renamed import checked_keywords
from ...errors import InvalidInputError
from .._linear_loss_operators import under_autocast
from .._operators import as_floating, check_tensor, widened
from ..losses import IGNORE_INDEX
from ._arguments import Arguments, claim_of, label_of
from ._exchange import Claim
from ._first_derivatives import first_derivative_only
from ._losses import evaluate, keep_for_backward, upstream_of_rows
from ._row_losses import gradients_of
from ._shards import Shard
from ._words import add_over_ranks

__all__ = ["linear_cross_entropy"]

_BYTES = 64  # memory for computing one logit, with its float64 and temporaries


_FIRST = 16


@checked_keywords
def linear_cross_entropy(
    input: Tensor,
    local: Tensor,
    target: Tensor,
    *,
    group: ProcessGroup | None,
    first_class: int,
    rows_group: ProcessGroup | None = None,
    bias: Tensor | None = None,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = IGNORE_INDEX,
    z_loss: float = 0.0,
    reduction: str = "mean",
    memory_budget: int = 64 * 2**20,
) -> Tensor:
    """Compute the cross-entropy of a linear layer whose classes are sharded over a process group.

    Each rank holds the weights of some classes. Logits are computed block by block, twice in the forward pass
    and again in the backward pass, and never leave their rank.

    Parameters
    ----------
    input : Tensor, shape (..., features)
        The input of the layer, the same on every rank.
    local : Tensor, shape (k, features)
        The weights of this rank's k classes. Shards may differ in size, and k may be 0.
    target : Tensor of int, shape (...)
        Class indices in the whole vocabulary, the same on every rank.
    group, first_class, rows_group
        As in `softmaxlib.torch.parallel.cross_entropy`.
    bias : Tensor, shape (k,), optional
        The bias of this rank's classes.
    softcap, label_smoothing, ignore_index, z_loss, reduction
        As in `softmaxlib.torch.linear_cross_entropy`. Smoothing is over the whole vocabulary.
    memory_budget : int, default 64 MiB
        Bytes for computing a block of logits, at least one row.

    Returns
    -------
    Tensor
        A scalar, or for "none" one loss per row, in the shape of `target`. The same bits on every rank.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        As `softmaxlib.torch.parallel.cross_entropy`, on every rank, and if the budget is too small for one
        row.

    Notes
    -----
    Given the logits, the loss has the same bits for any shards. But a matrix product may round a logit
    differently if the matrix has another size. There are two collectives forward (one more over `rows_group`,
    and one if there are more rows than in the last call), and one backward: the gradient of `input` is the
    sum over the ranks, the same on each. An ignored row has gradient exactly 0, even if it contains NaN or
    inf. To ask for a second derivative is an error (NotImplementedError).

    Examples
    --------
    Run by ``torchrun``, with ``torch.distributed.init_process_group()`` before:

    >>> import torch
    >>> import torch.distributed as dist
    >>> from softmaxlib.torch import parallel
    >>> if dist.is_initialized():
    ...     classes = 1000 // dist.get_world_size()
    ...     weight = torch.nn.Parameter(torch.randn(classes, 8))
    ...     loss = parallel.linear_cross_entropy(
    ...         torch.ones(4, 8),
    ...         weight,
    ...         torch.tensor([1, 2, 3, 4]),
    ...         group=None,
    ...         first_class=classes * dist.get_rank(),
    ...     )
    """
    arguments = Arguments(
        target, None, None, first_class, ignore_index, reduction, label_smoothing, 0.0, z_loss, rows_group
    )
    layer = _Layer(softcap, memory_budget, torch.is_grad_enabled())
    return _LinearCrossEntropy.apply(input, local, bias, arguments, layer, group)


class _Layer:
    """A shard of a linear layer, with the block size of its logits."""

    def __init__(self, softcap: float | None, memory_budget: int, with_gradient: bool) -> None:
        self.softcap, self.memory_budget, self.with_gradient = softcap, memory_budget, with_gradient

    def shard(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, arguments: Arguments
    ) -> tuple[Claim, Shard]:
        """Return the shard of the logits, and the arguments of this rank."""
        target = arguments.target
        self.softcap = check_softcap(self.softcap)
        for tensor, name in ((input, "input"), (weight, "local"), (target, "target")):
            check_tensor(tensor, name)
        input, weight = as_floating(input, None), as_floating(weight, None, "local")
        _check_shapes(input, weight, bias, target)
        check_label_dtype(target.dtype, "target")
        first_class = check_integer(arguments.first_class, "first_class", lower=0)
        classes = weight.shape[0]
        label = label_of(target)
        ignored = arguments.ignore_index
        counted = None if ignored is None else _generic.widest_labels(namespace, label) != ignored
        features = input.detach().reshape(target.numel(), input.shape[-1])
        shard = Shard(
            logits=self.logits_of(features, weight.detach(), bias, counted),
            rows=target.numel(),
            classes=classes,
            first_class=first_class,
            target=target,
            label=label,
            ignore_index=ignored,
            distribution=None,
            weight=None,
            where=None,
            options=arguments.options(arguments.ignore_index),
            wide=input.dtype == torch.float64,
            with_entropy=False,
            device=input.device,
            dtype=widened(input).dtype if under_autocast(input) else input.dtype,
            block=max(1, classes) * rows_of_logits(self.memory_budget, classes, _BYTES),
        )
        asked = self.with_gradient and input.requires_grad
        given = {"dtype": input.dtype, "features": input.shape[-1], "softcap": self.softcap}
        return claim_of(shard, given | {"gradient of input": asked}), shard

    def logits_of(
        self, features: Tensor, weight: Tensor, bias: Tensor | None, counted: Tensor | None
    ) -> Callable[[slice], Tensor]:
        """Return a function that computes the logits of some rows."""
        bias = None if bias is None else bias.detach()

        def logits(rows: slice) -> Tensor:
            product = torch.nn.functional.linear(counted_rows(features, counted, rows), weight, bias)
            wide = widened(product)
            return wide if self.softcap is None else self.softcap * torch.tanh(wide / self.softcap)

        return logits

    def gradients(
        self,
        shard: Shard,
        kept: Any,
        upstream: Tensor,
        features: Tensor,
        weight: Tensor,
        with_bias: bool,
        of_features: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Compute the gradients of this rank's weights and bias; its part of the input's is written."""
        wide = of_features.dtype
        of_weight = torch.zeros_like(weight, dtype=wide)
        of_bias = weight.new_zeros(weight.shape[0], dtype=wide) if with_bias else None
        for rows, slope in gradients_of(shard, kept, upstream):
            if self.softcap is not None:
                slope *= 1 - (shard.logits(rows).double() / self.softcap) ** 2
            slope = slope.to(wide)
            of_features[rows] = widened(slope.to(weight.dtype) @ weight)
            of_weight.addmm_(slope.T, widened(counted_rows(features, shard.counted(slice(None)), rows)))
            if of_bias is not None:
                of_bias += slope.sum(0)
        return of_weight, of_bias


def _check_shapes(input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> None:
    """Check the shapes of a layer, which may have no class on this rank."""
    of_weight = tuple(weight.shape)
    of_bias = None if bias is None else tuple(bias.shape)
    if weight.dim() == 2 and weight.shape[0] == 0:
        if bias is not None and bias.numel():
            raise InvalidInputError(f"bias must hold one number per class, shape (0,), got {of_bias}")
        of_weight, of_bias = (1, weight.shape[1]), None
    check_layer_shapes(tuple(input.shape), of_weight, of_bias, tuple(target.shape))


def counted_rows(features: Tensor, counted: Tensor | None, rows: slice) -> Tensor:
    """Return some rows of features, with 0 in ignored ones, which may contain NaN."""
    if counted is None:
        return features[rows]
    return torch.where(counted[rows].unsqueeze(1), features[rows], 0.0)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Any, weight: Any, bias: Any, arguments: Arguments, layer: _Layer, group: Any
    ) -> Tensor:
        result = evaluate(lambda: layer.shard(input, weight, bias, arguments), group, arguments.rows_group)
        ctx.save_for_backward(input, weight, bias)
        keep_for_backward(ctx, result)
        ctx.layer, ctx.group = layer, group
        loss = result.loss if result.denominator is not None else result.loss.view(arguments.target.shape)
        return loss.to(widened(input).dtype if under_autocast(input) else input.dtype)

    @staticmethod
    @first_derivative_only(
        "linear_cross_entropy has no second derivative for classes that are sharded; gather the shards, as "
        "full_tensor() of a DTensor does, and use softmaxlib.torch.cross_entropy of the logits"
    )
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        input, weight, bias = ctx.saved_tensors
        factor = upstream_of_rows(ctx, upstream[0])
        features = input.reshape(ctx.shard.rows, input.shape[-1])
        # the last of the first words says whether all went well; so many keep the others aligned
        words = torch.empty(_FIRST + features.numel(), dtype=widened(weight).dtype, device=features.device)
        of_features, of_weight, of_bias = words[_FIRST:].view(features.shape), None, None

        def compute() -> None:
            nonlocal of_weight, of_bias
            of_weight, of_bias = ctx.layer.gradients(
                ctx.shard, ctx.kept, factor, features, weight, bias is not None, of_features
            )

        if ctx.needs_input_grad[0]:
            add_over_ranks(words[_FIRST - 1 :], compute, ctx.group)
        else:
            compute()
        assert of_weight is not None
        return (
            of_features.view(input.shape).to(input.dtype) if ctx.needs_input_grad[0] else None,
            of_weight.to(weight.dtype),
            None if of_bias is None else of_bias.to(bias.dtype),
            None,
            None,
            None,
        )
