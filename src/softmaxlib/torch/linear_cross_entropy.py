"""Cross-entropy of a linear layer, without storing all its logits."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.compiler import is_exporting

from .._arrays import dtype_name
from .._checks import (
    check_ignore_index,
    check_label_smoothing,
    check_layer_shapes,
    check_nonnegative,
    check_reduction,
    check_softcap,
    rows_of_logits,
)
from .._renamed import checked_keywords
from ..errors import UnsupportedTypeError
from . import _linear_loss_operators as operators
from ._distributed import is_distributed
from ._operators import as_floating, check_device, check_tensor
from .losses import IGNORE_INDEX

__all__ = ["linear_cross_entropy"]

_BUDGET, _BUDGET_ON_A_GPU = 64 * 2**20, 512 * 2**20  # bytes


@checked_keywords
def linear_cross_entropy(
    input: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    bias: Tensor | None = None,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = IGNORE_INDEX,
    z_loss: float = 0.0,
    reduction: str = "mean",
    memory_budget: int | None = None,
) -> Tensor:
    """Compute the cross-entropy of a linear layer, such as a language model's head, in bounded memory.

    The logits are computed and used block by block. If a gradient is needed, it is computed in the same pass,
    so each block of logits is computed once.

    Parameters
    ----------
    input : Tensor, shape (..., features)
        The input of the layer. Integers are computed in float64, and then the whole layer is.
    weight : Tensor, shape (K, features)
        The weight of the layer, in the dtype of `input`. A DTensor may be sharded along its classes.
    target : Tensor of int, shape (...)
        Class indices.
    bias : Tensor, shape (K,), optional
        The layer's bias. It is converted to the dtype of `weight`.
    softcap : float, optional
        The logits become ``softcap * tanh(logits / softcap)``.
    label_smoothing, ignore_index, z_loss, reduction
        As in `softmaxlib.torch.cross_entropy`.
    memory_budget : int, optional
        Bytes for a block of logits in float32 (or wider), at least one row. By default 64 MiB on the CPU, and
        512 MiB on other devices, where large products are faster.

    Returns
    -------
    Tensor
        A scalar, or for "none" one loss per row, in the shape of `target`.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        As `softmaxlib.torch.cross_entropy`, and if the budget is too small for one row.
    softmaxlib.errors.UnsupportedTypeError
        If input, weight or bias are bool or complex, or if the dtypes of input and weight differ. Autocast
        brings all but float64 to one dtype.

    Notes
    -----
    An ignored row has gradient exactly 0 and does not affect the gradients of weight and bias, even if it
    contains NaN or inf. In half precision, the losses and all sums over rows are computed in float32 and
    rounded once: the gradient of the weight takes room in float32 too. Under ``torch.autocast`` the layer is
    computed in autocast's dtype, and the loss is float32, as for ``torch.nn.functional.linear`` and
    ``cross_entropy``.

    In float16, the gradients of a "mean" or "sum" wait in float32 for the backward pass, in twice the room,
    and are rounded after they are multiplied by the gradient of the loss. So a loss scaled as by
    ``torch.amp.GradScaler`` keeps small ones from becoming 0. But a probability below 6e-8 counts as 0 in the
    gradient of the input, and on a GPU in those of weight and bias too. In bfloat16, which has the range of
    float32, gradients wait in bfloat16.

    ``torch.func`` works: ``jvp`` evaluates the definition in tensor operations, and ``vmap`` runs one example
    after the other. The gradient is not differentiable and raises an error. For second derivatives by
    backpropagation, use `cross_entropy` of the logits. A program of ``torch.export`` for a dynamic number of
    rows computes the logits of all rows at once.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> input, weight = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> softmaxlib.torch.linear_cross_entropy(input, weight, torch.tensor([0, 1]))
    tensor(0.5514)
    """
    input, weight, bias = as_layer(input, weight, bias)
    check_tensor(target, "target", input)
    if memory_budget is None:
        memory_budget = _BUDGET if weight.device.type == "cpu" else _BUDGET_ON_A_GPU
    if is_distributed(weight):
        return _by_shards(
            input,
            weight,
            target,
            bias,
            softcap=softcap,
            label_smoothing=label_smoothing,
            ignore_index=ignore_index,
            z_loss=z_loss,
            reduction=reduction,
            memory_budget=memory_budget,
        )
    reduction = check_reduction(reduction)
    label_smoothing = check_label_smoothing(label_smoothing)
    ignore_index = check_ignore_index(ignore_index)
    z_loss = check_nonnegative(z_loss, "z_loss")
    softcap = check_softcap(softcap)
    of_bias = None if bias is None else tuple(bias.shape)
    check_layer_shapes(tuple(input.shape), tuple(weight.shape), of_bias, tuple(target.shape))
    leaves = (input, weight) if bias is None else (input, weight, bias)
    wanted = any(leaf.requires_grad for leaf in leaves) or torch._C._are_functorch_transforms_active()
    operator = operators.definition if is_exporting() else operators.linear_cross_entropy
    loss, *_ = operator(
        input.reshape(target.numel(), input.shape[-1]),
        weight,
        bias,
        target.reshape(target.numel()),
        softcap,
        label_smoothing,
        ignore_index,
        z_loss,
        rows_of_logits(memory_budget, weight.shape[0], max(4, input.element_size())),
        reduction,
        torch.is_grad_enabled() and wanted,
    )
    loss = loss.view(target.shape) if reduction == "none" else loss
    return loss if operators.under_autocast(input) else loss.to(input.dtype)


def as_layer(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the layer in one floating dtype, or in dtypes that autocast brings to one."""
    rows, matrix = as_floating(input, None), as_floating(weight, None, "weight")
    check_device(matrix, "weight", rows)
    if not (input.is_floating_point() and weight.is_floating_point()):  # integers are computed in float64
        rows, matrix = rows.double(), matrix.double()
    if rows.dtype != matrix.dtype and (
        torch.float64 in (rows.dtype, matrix.dtype) or not operators.under_autocast(rows)
    ):
        raise UnsupportedTypeError(
            f"input and weight must have one dtype, got {dtype_name(rows.dtype)} and "
            f"{dtype_name(matrix.dtype)}; convert the smaller"
        )
    if bias is not None:
        bias = as_floating(bias, None, "bias").to(matrix.dtype)
        check_device(bias, "bias", rows)
    return rows, matrix, bias


def _by_shards(input: Tensor, weight: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """Evaluate the loss for classes of the layer sharded over processes."""
    from .parallel._dtensors import linear_cross_entropy_by_shards

    return linear_cross_entropy_by_shards(input, cast(Any, weight), *arguments, **options)
