"""Cross-entropy of a linear layer whose logits are never held together."""

from typing import Any, NamedTuple

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic
from .. import losses as numpy_functions
from ..errors import InvalidInputError
from ..losses._problem import check_reduction
from ._operators import fill_from_numpy, view_as_numpy
from .losses import IGNORE_INDEX, cross_entropy

__all__ = ["linear_cross_entropy"]

MEMORY_BUDGET = 64 * 2**20


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
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Cross-entropy of ``input @ weight.T + bias``, a language model's head, in bounded memory.

    The logits are made and used a block of rows at a time. Where a gradient will be asked for, it is made in
    the same pass, so that each block of logits is computed once.

    Parameters
    ----------
    input : Tensor, shape (..., features)
        What the layer is given.
    weight : Tensor, shape (K, features)
        The layer's weight.
    target : Tensor of int, shape (...)
        Class indices.
    bias : Tensor, shape (K,), optional
        The layer's bias.
    softcap : float, optional
        The logits become ``softcap * tanh(logits / softcap)``.
    label_smoothing, ignore_index, z_loss, reduction
        As in `softmaxlib.torch.cross_entropy`.
    memory_budget : int, default 64 MiB
        The bytes that a block of logits may take; at least one row of them.

    Returns
    -------
    Tensor
        A scalar, or one loss a row, of the shape of `target`, for "none".

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        As `softmaxlib.torch.cross_entropy`, and when the budget holds not one row.

    Notes
    -----
    Its gradient has no gradient of its own: for second derivatives use `cross_entropy` of the logits.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> input, weight = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> softmaxlib.torch.linear_cross_entropy(input, weight, torch.tensor([0, 1]))
    tensor(0.5514)
    """
    check_reduction(reduction)
    rows = memory_budget // max(1, weight.shape[0] * input.element_size())
    if rows < 1:
        raise InvalidInputError(
            f"memory_budget must hold one row of logits, {weight.shape[0] * input.element_size()} bytes, "
            f"got {memory_budget}; raise it"
        )
    head = _Head(softcap, label_smoothing, ignore_index, z_loss, rows)
    loss = _LinearCrossEntropy.apply(
        input.reshape(-1, input.shape[-1]), weight, bias, target.reshape(-1), head, reduction
    )
    return loss.view(target.shape) if reduction == "none" else loss


class _Head(NamedTuple):
    softcap: float | None
    label_smoothing: float
    ignore_index: int | None
    z_loss: float
    rows_at_once: int

    def denominator(self, target: Tensor, reduction: str) -> Tensor | float:
        """What the sum of the losses is divided by."""
        if reduction != "mean":
            return 1.0
        return target.numel() if self.ignore_index is None else (target != self.ignore_index).sum()

    def losses(self, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:
        """The loss of each row."""
        blocks = zip(input.split(self.rows_at_once), target.split(self.rows_at_once), strict=True)
        return torch.cat([self._cross_entropy(self._logits(x, weight, bias), y) for x, y in blocks])

    def losses_and_gradients(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, factor: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """The loss of each row, and the gradients of their sum with a factor for each row."""
        losses = []
        of_input, of_weight = torch.empty_like(input), torch.zeros_like(weight)
        of_bias = None if bias is None else torch.zeros_like(bias)
        for start in range(0, input.shape[0], self.rows_at_once):
            rows = slice(start, start + self.rows_at_once)
            logits = self._logits(input[rows], weight, bias)
            slope = None if self.softcap is None else 1 - (logits / self.softcap) ** 2
            loss, gradient = self._gradient(logits, target[rows])
            gradient = gradient if slope is None else gradient * slope
            losses.append(loss)
            scale = factor[rows].unsqueeze(1)
            # the factors go into the narrow matrices: the wide one is passed over as seldom as can be
            torch.mul(gradient @ weight, scale, out=of_input[rows])
            of_weight.addmm_(gradient.T, input[rows] * scale)
            if of_bias is not None:
                of_bias += gradient.T @ factor[rows]
        return torch.cat(losses), of_input, of_weight, of_bias

    def _logits(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        logits = torch.nn.functional.linear(input, weight, bias)
        return logits if self.softcap is None else self.softcap * torch.tanh(logits / self.softcap)

    def _cross_entropy(self, logits: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(
            logits,
            target,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            z_loss=self.z_loss,
            reduction="none",
        )

    def _gradient(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and gradient of each row; on the CPU the gradient takes the place of the logits."""
        options = {
            "ignore_index": self.ignore_index,
            "label_smoothing": self.label_smoothing,
            "z_loss": self.z_loss,
            "reduction": "none",
        }
        if logits.device.type != "cpu":
            options |= {"axis": -1, "weight": None, "focal_gamma": 0.0, "where": None}
            return _generic.cross_entropy_grad(namespace, logits, target, **options)
        view = view_as_numpy(logits)
        loss, _ = numpy_functions.cross_entropy_grad(view, view_as_numpy(target), **options, out=view)
        return fill_from_numpy(logits.new_empty(target.shape), loss), logits


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        target: Tensor,
        head: _Head,
        reduction: str,
    ) -> Tensor:
        ctx.head, ctx.reduction = head, reduction
        denominator = head.denominator(target, reduction)
        if reduction == "none":  # what each row's gradient is worth is known on the way back only
            ctx.save_for_backward(input, weight, bias, target)
            return head.losses(input, weight, bias, target)
        if not any(ctx.needs_input_grad):
            return head.losses(input, weight, bias, target).sum() / denominator
        factor = input.new_ones(target.shape) / denominator
        losses, *gradients = head.losses_and_gradients(input, weight, bias, target, factor)
        ctx.save_for_backward(*gradients)
        return losses.sum() / denominator

    @staticmethod
    @torch.autograd.function.once_differentiable  # its typing forgets the names of the parameters
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Any, ...]:
        (gradient,) = grad_outputs
        if ctx.reduction == "none":
            _, *gradients = ctx.head.losses_and_gradients(*ctx.saved_tensors, gradient)
        else:
            gradients = [None if one is None else one * gradient for one in ctx.saved_tensors]
        return *gradients, None, None, None
