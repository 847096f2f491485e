"""Cross-entropy of binary logits in JAX arrays."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .. import _generic
from .._arrays import check_same_shape, known_values
from .._checks import check_reduction
from .._renamed import checked_keywords
from ..losses._sigmoid_arguments import (
    SigmoidLossOptions,
    check_binary_target,
    check_binary_target_dtype,
    check_element_weight,
    check_element_weight_shape,
)
from ._arguments import (
    as_array,
    as_floating,
    as_mask,
    keep_arguments_only,
    known_tangent,
    times_tangent,
    widened,
)
from .losses import reduce

__all__ = ["sigmoid_cross_entropy"]


@checked_keywords
def sigmoid_cross_entropy(
    logits: Any,
    target: Any,
    /,
    *,
    weight: Any = None,
    pos_weight: Any = None,
    label_smoothing: float = 0.0,
    focal_gamma: float = 0.0,
    where: Any = None,
    reduction: str = "mean",
) -> jax.Array:
    """Compute the cross-entropy of independent binary logits.

    Smaller is better. The loss is 0 only if the target has all probability. See
    `softmaxlib.sigmoid_cross_entropy` for the formula.

    Parameters
    ----------
    logits : array_like, shape (...)
        Real numbers: one per row of a binary model, or (rows, labels) of a multi-label model.
    target : array_like, shape (...)
        Numbers in [0, 1], integers 0 and 1, or bools.
    weight, pos_weight : array_like, broadcastable to `logits`, optional
        One weight per element, and an additional weight of the positive outcome.
    label_smoothing, focal_gamma : float
        As in `softmaxlib.sigmoid_cross_entropy`. Python numbers, not traced.
    where : array_like of bool, broadcastable to `logits`, optional
        True for the elements that count. Others have loss 0 and gradient 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        As in `softmaxlib.sigmoid_cross_entropy`.

    Returns
    -------
    jax.Array
        A scalar, or one loss per element for "none".

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If an option, target or weight is outside its range (unless it is traced).
    softmaxlib.errors.UnsupportedTypeError
        If logits are bool or complex, or the mask is not bool.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> float(softmaxlib.jax.sigmoid_cross_entropy([20.0], [1]))
    2.0611...e-09
    """
    logits = as_floating(logits, "logits")
    target, where = as_array(target, "target"), as_mask(where, logits.shape)
    check_binary_target_dtype(target.dtype)
    check_same_shape({"logits": logits, "target": target})
    known, mask = known_values(target, "target"), None if where is None else known_values(where, "where")
    if known is not None and (where is None or mask is not None):
        check_binary_target(known, logits.shape, mask)
    weight, pos_weight = _as_weight(weight, logits, "weight"), _as_weight(pos_weight, logits, "pos_weight")
    options = SigmoidLossOptions(None, None, label_smoothing, focal_gamma, None, check_reduction(reduction))
    wide = widened(logits)
    loss = _losses(wide, target.astype(wide.dtype), weight, pos_weight, where, options)
    counted = jnp.ones(logits.shape, wide.dtype) if where is None else where.astype(wide.dtype)
    return reduce(loss, counted, options.reduction, logits.dtype)


def _as_weight(weight: Any, logits: jax.Array, name: str) -> jax.Array | None:
    """Check weights of the elements, as far as they are known. None stays None."""
    if weight is None:
        return None
    weight = as_floating(weight, name)
    check_element_weight_shape(weight.shape, logits.shape, name)
    known = known_values(weight, name)
    if known is not None:
        check_element_weight(known, logits.shape, name)
    return weight


@partial(jax.custom_jvp, nondiff_argnums=(5,))
def _element_losses(
    logits: Any, target: Any, weight: Any, pos_weight: Any, where: Any, options: SigmoidLossOptions
) -> Any:
    return _terms(logits, target, weight, pos_weight, where, options)[0]


@partial(_element_losses.defjvp, symbolic_zeros=True)
def _element_losses_jvp(options: SigmoidLossOptions, primals: Any, tangents: Any) -> Any:
    """Compute the derivative from the arguments. Nothing else is kept for the backward pass."""
    moved = tuple(map(known_tangent, tangents[:4]))
    return _element_losses(*primals, options), keep_arguments_only(partial(_slopes, options))(primals, moved)


def _slopes(options: SigmoidLossOptions, primals: Any, moved: Any) -> Any:
    """Return the derivatives of the losses with respect to logits, targets and weights."""
    logits, target, weight, pos_weight, where = primals
    loss, gradient = _terms(logits, target, weight, pos_weight, where, options)
    slope = jnp.zeros_like(loss)
    if moved[0] is not None:
        slope = times_tangent(gradient, moved[0], where)
    varied = {"target": target, "weight": weight, "pos_weight": pos_weight}
    tangents = {name: one for name, one in zip(varied, moved[1:], strict=True) if one is not None}
    if tangents:  # the loss is plain arithmetic in targets and weights: JAX finds those derivatives itself
        _, more = jax.jvp(
            lambda these: _terms(logits, where=where, options=options, **varied | these)[0],
            ({name: varied[name] for name in tangents},),
            (tangents,),
        )
        slope = slope + more
    return slope


def _terms(
    logits: Any, target: Any, weight: Any, pos_weight: Any, where: Any, options: SigmoidLossOptions
) -> Any:
    named = {"label_smoothing": options.label_smoothing, "focal_gamma": options.focal_gamma}
    named |= {"weight": weight, "pos_weight": pos_weight, "where": where}
    return _generic.sigmoid_cross_entropy_terms(jnp, logits, target, **named)


_losses = jax.jit(_element_losses, static_argnums=5)
