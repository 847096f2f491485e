"""Cross-entropy of JAX arrays."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .. import _generic
from .._arrays import check_axis
from .._checks import (
    check_known_class_weight,
    check_known_target,
    check_loss_shapes,
    check_reduction,
    row_shape,
)
from .._renamed import checked_keywords
from ..losses._loss_arguments import LossOptions
from ._arguments import (
    Axis,
    as_array,
    as_floating,
    as_mask,
    keep_arguments_only,
    known_tangent,
    times_tangent,
    widened,
)
from ._sharded_losses import losses_of_shards

__all__ = ["cross_entropy"]


@checked_keywords
def cross_entropy(
    logits: Any,
    target: Any,
    /,
    *,
    axis: Axis = -1,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    focal_gamma: float = 0.0,
    z_loss: float = 0.0,
    where: Any = None,
    reduction: str = "mean",
    axis_name: str | None = None,
) -> jax.Array:
    """Compute the cross-entropy of logits: minus the log-probability of the target.

    Smaller is better. The loss is 0 only if the target has all probability. See `softmaxlib.cross_entropy`
    for the formula.

    Parameters
    ----------
    logits : array_like, shape (..., K, ...)
        Real numbers, with the classes along `axis`.
    target : array_like
        Class indices, with the shape of `logits` without `axis`. Or class probabilities, with the shape of
        `logits`.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    class_weight : array_like, shape (K,), optional
        A factor for each class.
    label_smoothing, focal_gamma, z_loss : float
        As in `softmaxlib.cross_entropy`. Python numbers, not traced.
    ignore_index : int, optional
        Rows with this label are ignored, and their gradient is exactly 0, whatever their logits.
    where : array_like of bool, broadcastable to `logits`, optional
        True for the classes that exist.
    reduction : {"mean", "sum", "none"}, default "mean"
        As in `softmaxlib.cross_entropy`.
    axis_name : str, optional
        Inside ``jax.shard_map``: the mesh axis over which the classes are sharded. `logits`, `class_weight`,
        `where` and class probabilities are then those of this device. Class indices and smoothing refer to
        all classes.

    Returns
    -------
    jax.Array
        A scalar, or one loss per row for "none".

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If an option is outside its range, or a label is out of range (unless labels are traced).
    softmaxlib.errors.UnsupportedTypeError
        If logits are bool or complex, or the mask is not bool.
    NotImplementedError
        With `axis_name`, if a derivative with respect to `class_weight` or class probabilities is asked for.

    Notes
    -----
    A confident row keeps its digits in the loss and in its gradient. Under ``jit`` labels can't be checked. A
    label out of range then has loss 0.

    With `axis_name` the result is the same on every device, with two collectives forward (three for a focal
    loss) and none backward. It then has only first derivatives with respect to the logits, and needs the
    default ``check_vma=True`` of ``jax.shard_map``.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> float(softmaxlib.jax.cross_entropy([[0.0, -20.0]], [0]))
    2.0611...e-09
    """
    logits = as_floating(logits, "logits")
    target, where = as_array(target, "target"), as_mask(where, logits.shape)
    options = LossOptions(
        None, None, label_smoothing, ignore_index, focal_gamma, z_loss, None, check_reduction(reduction)
    )
    ignore_index = options.ignore_index
    axes = check_axis(axis, logits.ndim)
    rows, classes = row_shape(logits.shape, axes), math.prod(logits.shape[one] for one in axes)
    weight = None if class_weight is None else as_floating(class_weight, "class_weight")
    by_index = check_loss_shapes(logits.shape, target.shape, target.dtype, weight, axes, ignore_index)
    check_known_class_weight(weight, classes)
    if axis_name is None:
        check_known_target(target, axes, classes, by_index, ignore_index)
    if by_index:
        target = _generic.widest_labels(jnp, target)
    if len(axes) != 1 or axis_name is not None:  # joined into one, the last
        logits = _generic.to_rows(jnp, logits, axes)
        target = target if by_index else _generic.to_rows(jnp, target, axes)
        where = None if where is None else _generic.to_rows(jnp, where, axes)
        axes = (len(rows),)
    options = replace(options, axis=axes[0])
    if axis_name is None:
        loss, row_weight = losses_of_rows(logits, target, weight, where, options)
    else:
        loss, row_weight = losses_of_shards(logits, target, weight, where, options, axis_name)
    return reduce(loss, row_weight, options.reduction, logits.dtype)


def reduce(loss: jax.Array, row_weight: jax.Array, reduction: str, dtype: Any) -> jax.Array:
    """Reduce the losses of the rows."""
    if reduction == "none":
        return loss.astype(dtype)
    if reduction == "sum":
        return jnp.sum(loss).astype(dtype)
    return _generic.mean_of(jnp, loss, jnp.sum(row_weight)).astype(dtype)


@partial(jax.custom_jvp, nondiff_argnums=(4,))
def _row_losses(logits: Any, target: Any, weight: Any, where: Any, options: LossOptions) -> Any:
    loss, row_weight, _ = _terms(logits, target, weight, where, options)
    return loss, row_weight


@partial(_row_losses.defjvp, symbolic_zeros=True)
def _row_losses_jvp(options: LossOptions, primals: Any, tangents: Any) -> Any:
    """Compute the derivative from the arguments. Nothing else is kept for the backward pass."""
    moved = tuple(map(known_tangent, tangents[:3]))
    return _row_losses(*primals, options), keep_arguments_only(partial(_slopes, options))(primals, moved)


def _slopes(options: LossOptions, primals: Any, moved: Any) -> Any:
    """Return the derivatives of losses and row weights with respect to logits, targets and weights."""
    logits, target, weight, where = primals
    loss, row_weight, gradient = _terms(logits, target, weight, where, options)
    slope, weight_slope = jnp.zeros_like(loss), jnp.zeros_like(row_weight)
    if moved[0] is not None:
        slope = jnp.sum(
            times_tangent(gradient, moved[0], _kept(logits, target, where, options)), axis=options.axis
        )
    varied = {"target": target, "class_weight": weight}
    tangents = {name: one for name, one in zip(varied, moved[1:], strict=True) if one is not None}
    if tangents:  # the loss is plain arithmetic in targets and weights: JAX finds those derivatives itself
        _, (more, more_weight) = jax.jvp(
            lambda these: _terms(logits, where=where, options=options, **varied | these)[:2],
            ({name: varied[name] for name in tangents},),
            (tangents,),
        )
        slope, weight_slope = slope + more, weight_slope + more_weight
    return slope, weight_slope


def _kept(logits: Any, target: Any, where: Any, options: LossOptions) -> Any:
    """Return True for the logits that the loss reads: those of rows that count, and of no masked class."""
    if target.ndim == logits.ndim or options.ignore_index is None:
        return where
    axis: Any = options.axis  # one number
    counted = jnp.expand_dims(target != options.ignore_index, axis)
    return jnp.broadcast_to(counted, logits.shape) if where is None else where & counted


def _terms(logits: Any, target: Any, class_weight: Any, where: Any, options: LossOptions) -> Any:
    named = {name: value for name, value in vars(options).items() if name != "reduction"}
    named |= {"class_weight": class_weight, "where": where}
    return _generic.cross_entropy_terms(jnp, widened(logits), widened(target), **named)


losses_of_rows = jax.jit(_row_losses, static_argnums=4)
