"""Cross-entropy of logits against labels or class probabilities, and its gradient."""

from typing import NamedTuple

import numpy as np

from .._arrays import Array, Axis, FloatArray, check_out, foreign_namespace, refuse_out
from .._checks import check_reduction, rows_of_classes
from .._frameworks import as_graph_node
from . import _array_api
from ._exact_sum import exact_mean
from ._loss_arguments import LossArguments, LossOptions, check_loss_arguments
from ._row_losses import row_losses, row_losses_and_gradient


class LossAndGradient(NamedTuple):
    """A loss and its gradient with respect to the logits.

    Attributes
    ----------
    loss : scalar or ndarray
        As `cross_entropy` returns it for the same reduction.
    grad : ndarray
        Gradient with the shape of the logits. With reduction ``"none"``, it is the gradient of the sum.
    """

    loss: Array
    grad: Array


@as_graph_node
def cross_entropy(
    logits: Array,
    target: Array,
    /,
    *,
    axis: Axis = -1,
    class_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    focal_gamma: float = 0.0,
    z_loss: float = 0.0,
    where: Array | None = None,
    reduction: str = "mean",
) -> Array:
    r"""Compute the cross-entropy of logits: minus the log-probability of the target.

    Smaller is better. The loss is 0 only if the target has all probability. For one row with probabilities p
    = softmax(z), class weights w and target distribution q (1 at the label for an index target), over the K
    classes that `where` keeps:

    .. math:: \ell = \sum_c w_c q'_c (1 - p_c)^\gamma (-\log p_c)
              + \zeta \Big(\sum_c w_c q_c\Big) \operatorname{logsumexp}(z)^2, \qquad
              q' = (1 - \varepsilon) q + \varepsilon / K

    with :math:`\varepsilon` = `label_smoothing`, :math:`\gamma` = `focal_gamma`, :math:`\zeta` = `z_loss`. As
    in PyTorch, the weights apply after smoothing. (The other convention weights the whole row by the weight
    of its label. Both agree without `class_weight`.)

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        Real numbers of any scale. The classes are along `axis`.
    target : array_like
        Class indices, with the shape of `logits` without `axis`. Or class probabilities, with the shape of
        `logits`, where each row sums to 1 (to 1e-3). A class with target probability 0 counts 0, whatever its
        logit.
    axis : int, tuple of ints or None, default -1
        The class axis. Several axes are joined in C order, and None means all.
    class_weight : array_like, shape (K,), optional
        One weight per class, finite and not negative.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over all classes.
    ignore_index : int, optional
        Rows with this label are ignored, and their gradient is exactly 0, whatever their logits. For index
        targets only.
    focal_gamma : float >= 0, default 0.0
        Exponent of the focal loss. A larger value gives less weight to rows that are already right.
    z_loss : float >= 0, default 0.0
        Coefficient of logsumexp squared, which keeps the logits near a normalised scale. It is weighted by
        the weight of the row's target.
    where : array_like of bool, broadcastable to `logits`, optional
        True for the classes that exist. A masked class has probability 0 and gradient 0, and a target on it
        has loss inf. A fully masked row has loss 0 and gradient 0, and counts in a mean. The mask of a NumPy
        masked array is used in the same way.
    reduction : {"mean", "sum", "none"}, default "mean"
        "mean" divides the sum by the total weight of the labels (for index targets, without ignored rows) or
        by the number of rows (for class probabilities), as in PyTorch. "none" returns one loss per row.

    Returns
    -------
    scalar or array
        The loss, with the array type and dtype of `logits` (integers: float64). For "none", an array with the
        shape of `logits` without `axis`. The mean over no row, or with total weight 0, is NaN.

    Raises
    ------
    InvalidInputError
        If a label is out of range (the message names its row), a target has another shape or does not sum to
        1, weights are negative or of the wrong length, an option is outside its range, or `ignore_index` is
        given with class probabilities.
    UnsupportedTypeError
        If logits are bool, complex or not numbers, or an index target is not integer.

    Notes
    -----
    The error of the loss, also in confident rows, is at most 1 ULP in float32 and 2 ULP in float64. In
    float64 it is at most 3 ULP for class probabilities with `class_weight` or `label_smoothing`, and 8 ULP
    for `focal_gamma` with `label_smoothing` or class probabilities. Tensors go to
    `softmaxlib.torch.cross_entropy` and JAX arrays to `softmaxlib.jax.cross_entropy`, with their derivatives.
    Arrays of other libraries are computed by the formula in their own arithmetic, at least in float32.

    Sources: Müller, Kornblith & Hinton, "When does label smoothing help?" (2019); Lin et al., "Focal loss
    for dense object detection" (2017); Chowdhery et al., "PaLM" (2022) for the z-loss.

    Examples
    --------
    >>> import softmaxlib
    >>> float(softmaxlib.cross_entropy([[2.0, 1.0, 0.1], [0.0, 3.0, 0.0]], [0, 1]))
    0.2559764863493972
    >>> softmaxlib.cross_entropy([[0.0, -20.0]], [0], reduction="none")
    array([2.06115362e-09])
    """
    reduced = check_reduction(reduction)
    options = LossOptions(
        axis, class_weight, label_smoothing, ignore_index, focal_gamma, z_loss, where, reduced
    )
    if foreign_namespace(logits, target) is not None:
        return _array_api.cross_entropy(logits, target, options)
    arguments = check_loss_arguments(logits, target, options)
    return _reduce(arguments, row_losses(arguments), arguments.denominator())


@as_graph_node
def cross_entropy_grad(
    logits: Array,
    target: Array,
    /,
    *,
    axis: Axis = -1,
    class_weight: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    focal_gamma: float = 0.0,
    z_loss: float = 0.0,
    where: Array | None = None,
    reduction: str = "mean",
    out: FloatArray | None = None,
) -> LossAndGradient:
    r"""Compute the cross-entropy and its gradient with respect to the logits, in one call.

    Without options the gradient of a row is :math:`p - q`, the probabilities minus the target. If p is near 1
    at the label, this entry is computed as minus the sum of the other probabilities. So a confident row keeps
    every digit.

    Parameters
    ----------
    logits, target, axis, class_weight, label_smoothing, ignore_index, focal_gamma, z_loss, where
        As in `cross_entropy`.
    reduction : {"mean", "sum", "none"}, default "mean"
        The gradient is that of the mean, or of the sum for "sum" and "none".
    out : ndarray, optional
        Array for the gradient, with the shape of `logits` and the dtype of the result. It may be `logits`
        itself, which is then overwritten.

    Returns
    -------
    LossAndGradient
        Named tuple (loss, grad). The gradient is exactly 0 in ignored rows and at masked classes.

    Raises
    ------
    InvalidInputError, UnsupportedTypeError
        As `cross_entropy`. Also InvalidInputError if `out` has another shape or is read-only, and
        UnsupportedTypeError if it has another dtype or is not a NumPy array.

    Notes
    -----
    In float32 the error of the gradient is at most 2 ULP.

    Examples
    --------
    >>> import softmaxlib
    >>> loss, grad = softmaxlib.cross_entropy_grad([[0.0, -20.0]], [0])
    >>> grad
    array([[-2.06115362e-09,  2.06115362e-09]])
    """
    reduced = check_reduction(reduction)
    options = LossOptions(
        axis, class_weight, label_smoothing, ignore_index, focal_gamma, z_loss, where, reduced
    )
    if foreign_namespace(logits, target) is not None:
        refuse_out(out)
        return LossAndGradient(*_array_api.cross_entropy_grad(logits, target, options))
    arguments = check_loss_arguments(logits, target, options)
    check_out(out, arguments.shape, arguments.dtype)
    gradient = np.empty(arguments.shape, arguments.dtype) if out is None else out
    denominator = arguments.denominator()
    rows, aliased = _writable_rows(gradient, arguments, (logits, target, class_weight, where))
    with np.errstate(divide="ignore"):
        losses = row_losses_and_gradient(arguments, np.divide(1.0, denominator), rows)
    if not aliased:
        moved = np.moveaxis(gradient, arguments.axes, range(-len(arguments.axes), 0))
        moved[...] = rows.reshape(moved.shape)
    return LossAndGradient(_reduce(arguments, losses, denominator), gradient)


def _reduce(arguments: LossArguments, losses: FloatArray, denominator: float) -> Array:
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        if arguments.options.reduction == "none":
            return losses.reshape(arguments.row_shape).astype(arguments.dtype)
        return exact_mean(losses, denominator).astype(arguments.dtype)[()]


def _writable_rows(
    gradient: FloatArray, arguments: LossArguments, inputs: tuple[Array, ...]
) -> tuple[FloatArray, bool]:
    """Return an array (rows, classes) for the gradient that inputs do not overlap, and whether it is a
    view."""
    rows = rows_of_classes(gradient, arguments.axes, arguments.logits.shape[1])
    if np.may_share_memory(rows, gradient) and not any(overlaps(gradient, array) for array in inputs):
        return rows, True
    return np.empty(rows.shape, arguments.dtype), False


def overlaps(gradient: FloatArray, array: Array) -> bool:
    """Tell whether two arrays share memory without being the same elements (those are read before
    writing)."""
    if not isinstance(array, np.ndarray) or not np.may_share_memory(gradient, array):
        return False
    same = gradient.__array_interface__["data"] == array.__array_interface__["data"]
    return not (same and gradient.shape == array.shape and gradient.strides == array.strides)
