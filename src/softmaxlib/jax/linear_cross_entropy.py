"""Cross-entropy of a linear layer, without storing all its logits."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .. import _generic
from .._checks import (
    check_known_target,
    check_label_dtype,
    check_layer_shapes,
    check_reduction,
    check_softcap,
    rows_of_logits,
)
from .._renamed import checked_keywords
from ..losses._loss_arguments import LossOptions
from ._arguments import as_array, as_floating, check_known_classes, widened
from ._meshes import over_any_mesh
from .losses import losses_of_rows, reduce

__all__ = ["linear_cross_entropy"]

# Of a block: its logits, their exponentials and gradient, and what XLA makes on the way.
_ARRAYS_AT_ONCE = 6


@checked_keywords
def linear_cross_entropy(
    features: Any,
    weight: Any,
    target: Any,
    /,
    *,
    bias: Any = None,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    reduction: str = "mean",
    memory_budget: int = 64 * 2**20,
) -> jax.Array:
    """Compute the cross-entropy of a linear layer, such as a language model's head, in bounded memory.

    The logits are computed and used block by block, in the forward pass and again in the backward pass. See
    `softmaxlib.linear_cross_entropy` for the formula.

    Parameters
    ----------
    features : array_like, shape (..., D)
        The input of the layer.
    weight : array_like, shape (K, D)
        One row per class.
    target : array_like of int, shape (...)
        Class indices.
    bias : array_like, shape (K,), optional
        Added to the logits.
    softcap : float > 0, optional
        The logits become ``softcap * tanh(logits / softcap)``. A Python number, not traced.
    label_smoothing, ignore_index, z_loss, reduction
        As in `softmaxlib.jax.cross_entropy`.
    memory_budget : int, default 64 MiB
        Bytes for a block of logits and its temporaries. A block has at least one row.

    Returns
    -------
    jax.Array
        A scalar, or for "none" one loss per row, in the shape of `target`.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If shapes do not match, an option is outside its range, a label is out of range (unless labels are
        traced), or the budget is too small for one row.
    softmaxlib.errors.UnsupportedTypeError
        If features, weights or bias are bool or complex, or if a program is exported for any number of
        classes.

    Notes
    -----
    The accuracy is that of the matrix product. The loss of these logits is as accurate as `cross_entropy`. It
    has derivatives of every order, in both modes. Ignored rows are not multiplied, and never affect a
    gradient.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> import softmaxlib.jax
    >>> features, weight = jnp.eye(2), jnp.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> round(float(softmaxlib.jax.linear_cross_entropy(features, weight, jnp.array([0, 1]))), 4)
    0.5514
    """
    features = as_floating(features, "features")
    matrix = widened(as_floating(weight, "weight"))
    offset = None if bias is None else widened(as_floating(bias, "bias"))
    target = as_array(target, "target")
    check_layer_shapes(features.shape, matrix.shape, None if offset is None else offset.shape, target.shape)
    check_known_classes(matrix.shape[0], "linear_cross_entropy")
    softcap = check_softcap(softcap)
    check_label_dtype(target.dtype, "target")
    options = LossOptions(
        -1, None, label_smoothing, ignore_index, 0.0, z_loss, None, check_reduction(reduction)
    )
    check_known_target(target, (), matrix.shape[0], True, options.ignore_index)
    target = _generic.widest_labels(jnp, target)
    rows = max(1, rows_of_logits(memory_budget, matrix.shape[0], matrix.dtype.itemsize) // _ARRAYS_AT_ONCE)
    # a program that is exported for any number of rows has one block
    blocks = max(1, -(-target.size // rows)) if isinstance(target.size, int) else 1
    size = -(-target.size // blocks)  # of a block
    missing = (0, size * blocks - target.size)  # rows that fill up the last one

    def of_block(matrix: Any, offset: Any, part: tuple[Any, Any]) -> tuple[jax.Array, jax.Array]:
        x, y = part
        if options.ignore_index is not None:
            x = jnp.where((y == options.ignore_index)[:, None], 0.0, x)
        logits = widened(x) @ matrix.T
        logits = logits if offset is None else logits + offset[None]
        logits = logits if softcap is None else softcap * jnp.tanh(logits / softcap)
        return losses_of_rows(logits, y, None, None, options)

    def of_rows(features: Any, matrix: Any, offset: Any, target: Any) -> tuple[jax.Array, ...]:
        width = features.shape[-1]
        parts = (
            jnp.pad(features.reshape(target.size, width), (missing, (0, 0))).reshape(blocks, size, width),
            jnp.pad(target.reshape(-1), missing).reshape(blocks, size),
        )
        results = jax.lax.map(jax.checkpoint(partial(of_block, matrix, offset)), parts)
        return tuple(each.reshape(-1)[: target.size].reshape(target.shape) for each in results)

    evaluate = over_any_mesh(of_rows, features, matrix)
    loss, row_weight = evaluate(features, matrix, offset, target)
    return reduce(loss, row_weight, options.reduction, features.dtype)
