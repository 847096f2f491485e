"""Cross-entropy of binary logits, as a function of PyTorch tensors and as a layer."""

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling, is_exporting

from .._checks import check_reduction
from .._renamed import checked_keywords
from ..errors import InvalidInputError, UnsupportedTypeError
from ..losses._sigmoid_arguments import (
    SigmoidLossOptions,
    check_binary_target_dtype,
    check_element_weight_shape,
)
from . import _sigmoid_loss_operators as operators
from ._operators import as_floating, check_device, check_tensor, check_where

__all__ = ["SigmoidCrossEntropyLoss", "sigmoid_cross_entropy"]

_WITHOUT_FLOAT64 = ("mps",)  # devices


@checked_keywords
def sigmoid_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    pos_weight: Tensor | float | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    where: Tensor | None = None,
) -> Tensor:
    r"""Compute the cross-entropy of independent binary logits.

    Smaller is better. The loss is 0 only if the target has all probability. The arguments are those of
    ``torch.nn.functional.binary_cross_entropy_with_logits``, plus label smoothing, focal loss and a mask of
    elements. `softmaxlib.sigmoid_cross_entropy` gives the full formula. Without these options, for a logit x
    with p = sigmoid(x) and target y, it is

    .. math:: \ell = -y \log p - (1 - y) \log(1 - p)

    Parameters
    ----------
    input : Tensor, shape (...)
        Logits: one per row of a binary model, or (N, labels) of a multi-label model.
    target : Tensor, shape (...)
        Numbers in [0, 1], integers 0 and 1, or bools, with the shape of `input`.
    weight : Tensor, broadcastable to `input`, optional
        One weight per element, finite and not negative.
    pos_weight : Tensor or float, broadcastable to `input`, optional
        Additional weight of the positive outcome: one number, or one per label.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides by the number of elements that count, as in PyTorch.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over both outcomes.
    focal_gamma : float >= 0, default 0.0
        Exponent of the focal loss. A larger value gives less weight to elements that are already right.
    where : Tensor of bool, broadcastable to `input`, optional
        True for the elements that count. Others have loss 0 and gradient 0.

    Returns
    -------
    Tensor
        A scalar, or one loss per element for "none". The mean over no element is NaN.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If a target is outside 0 to 1 or has another shape, a weight is negative or does not broadcast, or an
        option is outside its range.
    softmaxlib.errors.UnsupportedTypeError
        If logits are bool or complex.

    Notes
    -----
    On the CPU this is `softmaxlib.sigmoid_cross_entropy` and its gradient: confident logits keep every digit,
    and the gradient is recomputed from the logits. Targets and weights that require a gradient are
    differentiated in tensor operations. Targets are checked on the CPU only, because the check would wait for
    other devices.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> logits, target = torch.tensor([20.0, -1.0]), torch.tensor([1.0, 0.0])
    >>> softmaxlib.torch.sigmoid_cross_entropy(logits, target, reduction="none")
    tensor([2.0612e-09, 3.1326e-01])
    """
    input = as_floating(input, None)
    check_tensor(target, "target", input)
    check_binary_target_dtype(target.dtype)
    if pos_weight is not None and not isinstance(pos_weight, Tensor):
        pos_weight = _as_weight(pos_weight, input.device)
    if is_compiling() or torch._C._get_tracing_state() is None:
        if target.shape != input.shape:
            raise InvalidInputError(
                f"target must have the shape of input, {tuple(input.shape)}, got {tuple(target.shape)}; "
                "give each logit its own target"
            )
        check_where(where, input)
        for name, one in (("weight", weight), ("pos_weight", pos_weight)):
            if one is not None:
                check_tensor(one, name)
                check_device(one, name, input, may_be_number=True)
                check_element_weight_shape(tuple(one.shape), tuple(input.shape), name)
        reduction = check_reduction(reduction)
        named = SigmoidLossOptions(None, None, label_smoothing, focal_gamma, None, reduction)
        label_smoothing, focal_gamma = named.label_smoothing, named.focal_gamma
    if where is not None:
        where = where.expand(input.shape)
    options = (weight, pos_weight, where, label_smoothing, focal_gamma, reduction)
    if is_exporting():
        return operators.sigmoid_cross_entropy_generic(input, target, *options)
    return operators.sigmoid_cross_entropy(input, target, *options)


def _as_weight(pos_weight: float, device: torch.device | None = None) -> Tensor:
    """Return a number, or several, as a tensor of float64, which keeps all digits of Python's numbers."""
    dtype = torch.float32 if device is not None and device.type in _WITHOUT_FLOAT64 else torch.float64
    try:
        return torch.as_tensor(pos_weight, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UnsupportedTypeError(
            f"pos_weight must be a number or a tensor, got {type(pos_weight).__name__}: {error}"
        ) from None


class SigmoidCrossEntropyLoss(torch.nn.Module):
    """Cross-entropy of binary logits, as a layer. It replaces ``torch.nn.BCEWithLogitsLoss``.

    Parameters
    ----------
    weight : Tensor, broadcastable to the logits, optional
        One weight per element or per label, stored as a buffer.
    pos_weight : Tensor or float, broadcastable to the logits, optional
        Additional weight of the positive outcome, stored as a buffer. A number is stored in float64.
    reduction, label_smoothing, focal_gamma
        As in `softmaxlib.torch.sigmoid_cross_entropy`.

    See Also
    --------
    softmaxlib.torch.sigmoid_cross_entropy : The function, with its formula and accuracy.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> loss = softmaxlib.torch.SigmoidCrossEntropyLoss(pos_weight=3.0)
    >>> loss(torch.tensor([[2.0, -1.0]]), torch.tensor([[1, 0]]))
    tensor(0.3470)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    @checked_keywords
    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        pos_weight: Tensor | float | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
    ) -> None:
        super().__init__()
        if weight is not None:
            check_tensor(weight, "weight")
        self.register_buffer("weight", weight)
        if pos_weight is not None and not isinstance(pos_weight, Tensor):
            pos_weight = _as_weight(pos_weight)
        self.register_buffer("pos_weight", pos_weight)
        self.options = {
            "reduction": reduction,
            "label_smoothing": label_smoothing,
            "focal_gamma": focal_gamma,
        }

    def forward(self, input: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
        """Compute the loss of logits for targets of the same shape. ``where`` False ignores an element."""
        return sigmoid_cross_entropy(
            input, target, self.weight, pos_weight=self.pos_weight, where=where, **self.options
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move or convert the layer. A device without float64, such as MPS, gets the numbers in float32."""
        try:
            return super()._apply(fn, recurse)
        except TypeError:
            if self.pos_weight is None or self.pos_weight.dtype != torch.float64:
                raise
            self.pos_weight = self.pos_weight.float()
            return super()._apply(fn, recurse)

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())
