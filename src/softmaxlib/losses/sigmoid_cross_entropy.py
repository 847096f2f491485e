"""Cross-entropy of independent binary logits, and its gradient."""

import numpy as np

from .. import _kernels
from .._arrays import Array, FloatArray, check_out, foreign_namespace, refuse_out
from .._checks import check_reduction
from .._frameworks import as_graph_node
from . import _array_api_sigmoid
from ._exact_sum import exact_mean, exact_sum
from ._row_losses import with_format
from ._sigmoid_arguments import (
    Index,
    SigmoidLossArguments,
    SigmoidLossOptions,
    blocks,
    check_sigmoid_arguments,
)
from .cross_entropy import LossAndGradient, overlaps


@as_graph_node
def sigmoid_cross_entropy(
    logits: Array,
    target: Array,
    /,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    where: Array | None = None,
    reduction: str = "mean",
) -> Array:
    r"""Compute the cross-entropy of independent binary logits.

    Use it for binary models, and for multi-label models, whose labels do not exclude each other. Smaller is
    better. The loss is 0 only if the target has all probability. For a logit x with p = sigmoid(x) and target
    y it is

    .. math:: \ell = w \left[ w_+ y' (1 - p)^\gamma (-\log p) + (1 - y') p^\gamma (-\log(1 - p)) \right],
              \qquad y' = (1 - \varepsilon) y + \varepsilon / 2

    with :math:`w` = `weight`, :math:`w_+` = `pos_weight`, :math:`\varepsilon` = `label_smoothing` and
    :math:`\gamma` = `focal_gamma`. It is `cross_entropy` of the row [0, x] with class weights
    :math:`w [1, w_+]`.

    Parameters
    ----------
    logits : array_like, shape (...)
        Log-odds of the positive outcome. A binary model has one per row, and a multi-label model shape (rows,
        labels).
    target : array_like, shape (...)
        Numbers in [0, 1], integers 0 and 1, or bools, with the shape of `logits`.
    weight : array_like, broadcastable to `logits`, optional
        One weight per element, finite and not negative. Use shape (labels,) for one per label, and (rows, 1)
        for one per row.
    pos_weight : array_like, broadcastable to `logits`, optional
        Additional weight of the positive outcome: one number, or one per label. A value above 1 raises
        recall, and one below 1 raises precision.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over both outcomes.
    focal_gamma : float >= 0, default 0.0
        Exponent of the focal loss. A larger value gives less weight to elements that are already right.
    where : array_like of bool, broadcastable to `logits`, optional
        True for the elements that count. Others have loss 0 and gradient 0, and do not count in a mean,
        whatever their logit and target. The mask of a NumPy masked array is used in the same way.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides the sum by the number of elements that count, not by their weights, as in PyTorch.
        "none" returns one loss per element.

    Returns
    -------
    scalar or array
        The loss, with the array type and dtype of `logits` (integers: float64). For "none" it has their
        shape. The mean over no element is NaN.

    Raises
    ------
    InvalidInputError
        If a target is outside 0 to 1 or has another shape, a weight is negative or does not broadcast, or an
        option is outside its range.
    UnsupportedTypeError
        If logits are bool, complex or not numbers.

    Notes
    -----
    For NumPy arrays the error of the loss, also for confident logits, is at most 1 ULP in float32 and 2 ULP
    in float64. A sum of more than 131,072 losses is computed in parts of this size, each rounded once.
    Tensors go to `softmaxlib.torch.sigmoid_cross_entropy` and JAX arrays to
    `softmaxlib.jax.sigmoid_cross_entropy`, with their derivatives. Arrays of other libraries are computed by
    the formula in their own arithmetic, at least in float32.

    The focal loss with a balance alpha, :math:`\alpha y + (1 - \alpha)(1 - y)`, is ``weight=1 - alpha`` and
    ``pos_weight=alpha / (1 - alpha)``.

    Source: Lin et al., "Focal loss for dense object detection" (2017).

    Examples
    --------
    >>> import softmaxlib
    >>> round(float(softmaxlib.sigmoid_cross_entropy([2.0, -1.0, 0.5], [1, 0, 1])), 6)
    0.304756
    >>> softmaxlib.sigmoid_cross_entropy([40.0], [True], reduction="none")
    array([4.24835426e-18])
    """
    options = SigmoidLossOptions(
        weight, pos_weight, label_smoothing, focal_gamma, where, check_reduction(reduction)
    )
    if foreign_namespace(logits, target) is not None:
        return _array_api_sigmoid.sigmoid_cross_entropy(logits, target, options)
    return _compute(check_sigmoid_arguments(logits, target, options), None)


@as_graph_node
def sigmoid_cross_entropy_grad(
    logits: Array,
    target: Array,
    /,
    *,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    where: Array | None = None,
    reduction: str = "mean",
    out: FloatArray | None = None,
) -> LossAndGradient:
    r"""Compute the cross-entropy of binary logits and its gradient with respect to them, in one call.

    Without options the gradient of an element is :math:`p - y`, the probability minus the target. If the
    target is 1, it is computed as minus the probability of the other outcome. So a confident logit keeps
    every digit.

    Parameters
    ----------
    logits, target, weight, pos_weight, label_smoothing, focal_gamma, where
        As in `sigmoid_cross_entropy`.
    reduction : {"mean", "sum", "none"}, default "mean"
        The gradient is that of the mean, or of the sum for "sum" and "none".
    out : ndarray, optional
        Array for the gradient, with the shape of `logits` and the dtype of the result. It may be `logits`
        itself, which is then overwritten.

    Returns
    -------
    LossAndGradient
        Named tuple (loss, grad). The gradient of masked elements is exactly 0.

    Raises
    ------
    InvalidInputError, UnsupportedTypeError
        As `sigmoid_cross_entropy`. Also InvalidInputError if `out` has another shape or is read-only, and
        UnsupportedTypeError if it has another dtype or is not a NumPy array.

    Notes
    -----
    For targets of 0 and 1 the error of the gradient is at most 2 ULP. For a target in between, the gradient
    is a difference of two numbers, and loses as many digits as they have in common. The error is then at most
    2 ULP plus 2^-52.

    Examples
    --------
    >>> import softmaxlib
    >>> loss, grad = softmaxlib.sigmoid_cross_entropy_grad([20.0, -1.0], [1, 0])
    >>> grad
    array([-1.03057681e-09,  1.34470711e-01])
    """
    options = SigmoidLossOptions(
        weight, pos_weight, label_smoothing, focal_gamma, where, check_reduction(reduction)
    )
    if foreign_namespace(logits, target) is not None:
        refuse_out(out)
        return LossAndGradient(*_array_api_sigmoid.sigmoid_cross_entropy_grad(logits, target, options))
    arguments = check_sigmoid_arguments(logits, target, options)
    shape = arguments.logits.shape
    check_out(out, shape, arguments.dtype)
    gradient = np.empty(shape, arguments.dtype) if out is None else out.view(np.ndarray)
    apart = any(overlaps(gradient, array) for array in (logits, target, weight, pos_weight, where))
    written = np.empty(shape, arguments.dtype) if apart else gradient
    loss = _compute(arguments, written)
    if apart:
        gradient[...] = written
    return LossAndGradient(loss, gradient if out is None else out)


def _compute(arguments: SigmoidLossArguments, gradient: FloatArray | None) -> Array:
    """Return the reduced loss, and write the gradient if it is asked for."""
    denominator, keeps = arguments.denominator(), arguments.options.reduction == "none"
    scale = 1.0 / denominator if denominator else 1.0
    shape = arguments.logits.shape
    losses, parts = np.empty(shape if keeps else 0), []
    for index in blocks(shape):
        block = _compute_block(arguments, index, scale, gradient)
        if keeps:
            losses[index] = block.reshape(losses[index].shape)
        else:
            parts.append(exact_sum(block))
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        if keeps:
            return losses.astype(arguments.dtype)
        total = exact_sum(np.array(parts))
        if np.isinf(total) and denominator > 1:  # of all losses at once, scaled
            every = [_compute_block(arguments, index, 1.0, None) for index in blocks(shape)]
            return exact_mean(np.concatenate(every), denominator).astype(arguments.dtype)[()]
        return np.divide(total, denominator).astype(arguments.dtype)[()]


def _compute_block(
    arguments: SigmoidLossArguments, index: Index, scale: float, gradient: FloatArray | None
) -> FloatArray:
    """Compute the losses of one part, along one axis."""
    logits = arguments.logits[index].reshape(-1)
    target = arguments.target[index].reshape(-1)
    if target.dtype.char not in "?efd" and target.dtype.name != "bfloat16":
        target = target.astype(np.float64)
    losses, slope, part = np.empty(logits.size), None, None
    if gradient is not None:
        part = gradient[index] if index else gradient
        slope = part.reshape(-1)
    options = arguments.options
    _kernels.sigmoid_cross_entropy(
        with_format(logits),
        with_format(target),
        *arguments.factors(index),
        options.label_smoothing,
        options.focal_gamma,
        scale,
        losses,
        None if slope is None else with_format(slope),
    )
    if part is not None and slope is not None and not np.may_share_memory(slope, part):
        part[...] = slope.reshape(part.shape)
    return losses
