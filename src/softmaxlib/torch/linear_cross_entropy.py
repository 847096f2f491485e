"""Cross-entropy of a linear layer whose logits are never held together."""

from typing import Any, NamedTuple

import torch
from array_api_compat import torch as namespace
from torch import Tensor

from .. import _generic
from .. import losses as numpy_functions
from .._checks import check_reduction, rows_of_logits
from ._operators import define_without_batches, fill_from_numpy, view_as_numpy
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
    rows = rows_of_logits(memory_budget, weight.shape[0], input.element_size())
    leaves = (input, weight) if bias is None else (input, weight, bias)
    loss, *_ = _linear_cross_entropy(
        input.reshape(-1, input.shape[-1]),
        weight,
        bias,
        target.reshape(-1),
        softcap,
        label_smoothing,
        ignore_index,
        z_loss,
        rows,
        reduction,
        torch.is_grad_enabled() and any(leaf.requires_grad for leaf in leaves),
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


def _forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    target: Tensor,
    softcap: float | None,
    label_smoothing: float,
    ignore_index: int | None,
    z_loss: float,
    rows_at_once: int,
    reduction: str,
    with_gradient: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss, and in the same pass the gradients of a reduced one (else empty tensors)."""
    head = _Head(softcap, label_smoothing, ignore_index, z_loss, rows_at_once)
    nothing = input.new_empty(0), weight.new_empty(0), weight.new_empty(0)
    if reduction == "none":  # what each row's gradient is worth is known on the way back only
        return head.losses(input, weight, bias, target), *nothing
    denominator = head.denominator(target, reduction)
    if not with_gradient:
        return head.losses(input, weight, bias, target).sum() / denominator, *nothing
    factor = input.new_ones(target.shape) / denominator
    losses, of_input, of_weight, of_bias = head.losses_and_gradients(input, weight, bias, target, factor)
    return losses.sum() / denominator, of_input, of_weight, nothing[2] if of_bias is None else of_bias


def _forward_fake(
    input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *_, reduction, with_gradient = options
    if reduction == "none" or not with_gradient:
        loss = input.new_empty(target.shape if reduction == "none" else ())
        return loss, input.new_empty(0), weight.new_empty(0), weight.new_empty(0)
    of_bias = weight.new_empty(0) if bias is None else torch.empty_like(bias)
    return input.new_empty(()), torch.empty_like(input), torch.empty_like(weight), of_bias


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, softcap, label_smoothing, ignore_index, z_loss, rows_at_once, reduction, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.options = softcap, label_smoothing, ignore_index, z_loss, rows_at_once
    ctx.reduction, ctx.has_bias = reduction, tensors[2] is not None
    ctx.save_for_backward(*(tensors if reduction == "none" else output[1:]))


def _backward(ctx: Any, gradient: Tensor | None, *of_gradients: Tensor | None) -> tuple[Any, ...]:
    if any(one is not None for one in of_gradients):
        raise NotImplementedError(
            "linear_cross_entropy has no second derivative; for one use cross_entropy of the logits"
        )
    if gradient is None:
        return (None,) * 11
    if ctx.reduction == "none":
        gradients = _linear_cross_entropy_vjp(gradient, *ctx.saved_tensors, *ctx.options)
    else:
        gradients = [one * gradient for one in ctx.saved_tensors]
    of_input, of_weight, of_bias = gradients
    return of_input, of_weight, of_bias if ctx.has_bias else None, *(None,) * 8


def _vjp(
    gradient: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    _, of_input, of_weight, of_bias = _Head(*options).losses_and_gradients(
        input, weight, bias, target, gradient
    )
    return of_input, of_weight, weight.new_empty(0) if of_bias is None else of_bias


def _vjp_fake(
    gradient: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor, *options: Any
) -> tuple[Tensor, Tensor, Tensor]:
    of_bias = weight.new_empty(0) if bias is None else torch.empty_like(bias)
    return torch.empty_like(input), torch.empty_like(weight), of_bias


_OPTIONS = "float? softcap, float label_smoothing, int? ignore_index, float z_loss, int rows_at_once"
_linear_cross_entropy = define_without_batches(
    f"linear_cross_entropy(Tensor input, Tensor weight, Tensor? bias, Tensor target, {_OPTIONS}, "
    "str reduction, bool with_gradient) -> (Tensor, Tensor, Tensor, Tensor)",
    evaluate=_forward,
    fake=_forward_fake,
    setup_context=_context,
    backward=_backward,
)
_linear_cross_entropy_vjp = define_without_batches(
    "linear_cross_entropy_vjp(Tensor gradient, Tensor input, Tensor weight, Tensor? bias, Tensor target, "
    f"{_OPTIONS}) -> (Tensor, Tensor, Tensor)",
    evaluate=_vjp,
    fake=_vjp_fake,
)
