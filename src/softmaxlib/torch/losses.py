"""Cross-entropy of PyTorch tensors."""

from typing import Any, cast

import torch
from array_api_compat import torch as namespace
from torch import Tensor
from torch.compiler import is_compiling, is_exporting

from .. import _generic
from .._arrays import check_axis
from .._checks import check_loss_shapes, check_reduction
from .._renamed import checked_keywords
from ..losses._loss_arguments import LossOptions
from . import _eager_gpu_loss
from . import _loss_operators as operators
from ._distributed import is_distributed
from ._fast_path import fast_path
from ._operators import as_floating, check_tensor, check_where

__all__ = ["cross_entropy"]

IGNORE_INDEX = -100

_cross_entropy = fast_path.cross_entropy


@checked_keywords
def cross_entropy(
    input: Tensor,
    target: Tensor,
    class_weight: Tensor | None = None,
    *,
    ignore_index: int | None = IGNORE_INDEX,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    z_loss: float = 0.0,
    where: Tensor | None = None,
) -> Tensor:
    r"""Compute the cross-entropy of logits: minus the log-probability of the target.

    Smaller is better. The loss is 0 only if the target has all probability. The arguments are those of
    ``torch.nn.functional.cross_entropy``, plus focal loss, z-loss and a mask of classes.
    `softmaxlib.cross_entropy` gives the full formula. Without these options, for a row with logits x and
    label y, it is

    .. math:: \ell = -\log \operatorname{softmax}(x)_y

    Parameters
    ----------
    input : Tensor, shape (K,), (N, K) or (N, K, d1, ...)
        Logits. The classes are along dimension 1, or 0 if there is only one dimension. A DTensor may be
        sharded along it: see `softmaxlib.torch.parallel`.
    target : Tensor
        Class indices, with the shape of `input` without the classes. Or class probabilities (one-hot integers
        too), with the shape of `input`, where each row sums to 1 (to 1e-3).
    class_weight : Tensor, shape (K,), optional
        One weight per class, finite and not negative.
    ignore_index : int or None, default -100
        Rows with this label are ignored, and their gradient is exactly 0, whatever their logits.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides the sum by the total weight of the labels, as in PyTorch.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over all classes.
    focal_gamma : float >= 0, default 0.0
        Exponent of the focal loss. A larger value gives less weight to rows that are already right.
    z_loss : float >= 0, default 0.0
        Coefficient of logsumexp squared.
    where : Tensor of bool, broadcastable to `input`, optional
        True for the classes that exist.

    Returns
    -------
    Tensor
        A scalar, or one loss per row for "none". The mean over no row is NaN.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If a label is out of range (the message names its row), a target does not sum to 1, weights are
        negative or of the wrong length, or an option is outside its range.
    softmaxlib.errors.UnsupportedTypeError
        If logits are bool or complex.

    Notes
    -----
    On the CPU this is `softmaxlib.cross_entropy` and its gradient: confident rows keep every digit. The
    gradient is recomputed from the logits, so the backward pass keeps no array of their size. A `target` of
    probabilities that requires a gradient is differentiated in tensor operations. Labels are checked on the
    CPU only, because the check would wait for other devices.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.cross_entropy(torch.tensor([[0.0, -20.0]]), torch.tensor([0]))
    tensor(2.0612e-09)
    """
    if class_weight is None and where is None and not is_compiling():
        plain = label_smoothing, focal_gamma, z_loss, ignore_index, reduction
        loss = _cross_entropy(input, target, *plain)
        if loss is NotImplemented:
            loss = _eager_gpu_loss.cross_entropy(input, target, *plain)
        if loss is not NotImplemented:
            return loss
    if is_distributed(input):
        return _by_shards(
            input,
            target,
            class_weight,
            where,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
            focal_gamma=focal_gamma,
            z_loss=z_loss,
        )
    input = as_floating(input, None)
    check_tensor(target, "target", input)
    if class_weight is not None:
        check_tensor(class_weight, "class_weight", input)
    dim = 1 if input.dim() > 1 else 0
    soft = target.is_floating_point() or target.dim() == input.dim()
    if soft and type(ignore_index) is int and ignore_index == IGNORE_INDEX:
        ignore_index = None
    if not is_compiling() and torch._C._get_tracing_state() is not None:
        by_index = target.dim() < input.dim()  # traced sizes can't be checked
    else:
        named = LossOptions(dim, None, label_smoothing, ignore_index, focal_gamma, z_loss, None, "none")
        by_index = _check(input, target, class_weight, where, named)
        check_reduction(reduction)
        label_smoothing, focal_gamma, z_loss = named.label_smoothing, named.focal_gamma, named.z_loss
        ignore_index = named.ignore_index
    if by_index:
        target = _generic.widest_labels(namespace, target)
    elif not target.is_floating_point():
        target = target.to(input.dtype)
    options = (class_weight, where, dim, label_smoothing, ignore_index, focal_gamma, z_loss, reduction)
    if is_exporting() or (target.is_floating_point() and target.requires_grad):
        return operators.cross_entropy_generic(input, target, *options)
    return operators.cross_entropy(input, target, *options)


def _by_shards(input: Tensor, *arguments: Any, **options: Any) -> Tensor:
    """Evaluate the loss for classes sharded over processes."""
    from .parallel._dtensors import cross_entropy_by_shards

    return cross_entropy_by_shards(cast(Any, input), *arguments, **options)


def _check(
    input: Tensor, target: Tensor, weight: Tensor | None, where: Tensor | None, options: LossOptions
) -> bool:
    """Reject arguments that do not match. Return whether the target holds class indices."""
    shape = tuple(input.shape)
    axes = check_axis(options.axis, len(shape))
    check_where(where, input)
    return check_loss_shapes(shape, tuple(target.shape), target.dtype, weight, axes, options.ignore_index)
