"""Losses of rows whose classes are sharded over a named axis, inside `jax.shard_map`.

Every device holds equally many classes, the first device the first ones. With M the row's largest logit and s
the sum of exp(x - M) over all others, -log p = log1p(s) + (M - x), as in `softmaxlib.losses`.
"""

from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp

from .. import _generic
from .._text import shortened
from ..errors import InvalidInputError
from ..losses._loss_arguments import LossOptions
from ._arguments import widened


class _Rows(NamedTuple):
    """The quantities of a whole row that each of its logits needs."""

    others: jax.Array
    log_total: jax.Array
    valued: jax.Array
    pull: jax.Array
    class_count: jax.Array


def losses_of_shards(
    logits: Any, target: Any, class_weight: Any, where: Any, options: LossOptions, axis_name: str
) -> tuple[jax.Array, jax.Array]:
    """Return the loss of each row, and its weight in a mean; classes are on the last axis.

    They have derivatives by the logits alone. Those by the others are refused: each device has its own part.
    """
    _check_axis_name(axis_name)
    if class_weight is not None:
        class_weight = _without_derivative(class_weight, "class_weight")
    if target.ndim == logits.ndim:
        target = _without_derivative(target, "target")
    return _losses(logits, target, class_weight, where, options, axis_name)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _without_derivative(values: jax.Array, name: str) -> jax.Array:
    """Return the values, whose derivative is an error if it is asked for."""
    return values


@_without_derivative.defjvp
def _(name: str, primals: Any, tangents: Any) -> NoReturn:
    raise NotImplementedError(
        f"with axis_name the loss has no derivative with respect to {name}, and one was asked for; pass "
        f"jax.lax.stop_gradient({name}), or gather the shards and leave axis_name out"
    )


def _check_axis_name(axis_name: Any) -> None:
    names = axis_name if isinstance(axis_name, tuple) else (axis_name,)
    with suppress(NameError, TypeError):
        if not any(isinstance(name, int) for name in names):  # JAX takes numbers for axes of the array
            jax.lax.axis_size(axis_name)
            return
    raise InvalidInputError(
        f"axis_name must be an axis of the mesh, got {shortened(repr(axis_name), 200)}; call the loss inside "
        "jax.shard_map, or leave axis_name out"
    )


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _losses(
    logits: Any, target: Any, class_weight: Any, where: Any, options: LossOptions, axis_name: str
) -> tuple[jax.Array, jax.Array]:
    losses, row_weight, _, _ = _evaluate(logits, target, class_weight, where, options, axis_name)
    return losses, row_weight


def _forward(
    logits: Any, target: Any, class_weight: Any, where: Any, options: LossOptions, axis_name: str
) -> Any:
    losses, row_weight, maximum, rows = _evaluate(logits, target, class_weight, where, options, axis_name)
    return (losses, row_weight), (logits, target, class_weight, where, maximum, rows)


def _backward(options: LossOptions, axis_name: str, kept: Any, upstream: Any) -> Any:
    logits, target, class_weight, where, maximum, rows = kept
    x = _visible(logits, target, where, options)
    a = _coefficients(x, target, class_weight, where, rows.class_count, options, axis_name)
    p, complement = _probabilities(x, maximum, rows.others)
    slope = a
    if options.focal_gamma:
        _, slope = _focal(x, a, maximum, rows, p, complement, options.focal_gamma)
    result = (rows.pull[..., None] - slope) * p - slope * complement
    result = jnp.where(rows.valued[..., None], result, 0.0)
    if where is not None:
        result = jnp.where(where, result, 0.0)
    result = jnp.where(result == 0, 0.0, result * upstream[0][..., None])
    return result.astype(logits.dtype), None, None, None


_losses.defvjp(_forward, _backward)


def _evaluate(
    logits: Any, target: Any, class_weight: Any, where: Any, options: LossOptions, axis_name: str
) -> tuple[jax.Array, jax.Array, jax.Array, _Rows]:
    x = _visible(logits, target, where, options)
    by_index = target.ndim < x.ndim
    device, classes = jax.lax.axis_index(axis_name), _generic.places_along(jnp, x)
    tops = _gather(jnp.max(x, -1), axis_name)
    maximum, winner = jnp.max(tops, 0), jnp.argmax(tops, 0)
    exists = jnp.ones(x.shape, bool) if where is None else where
    is_top = (classes == jnp.argmax(x, -1)[..., None]) & (device == winner)[..., None]
    power = jnp.where(is_top, 0.0, jnp.exp(x - maximum[..., None]))
    power = jnp.where(x == -jnp.inf, 0.0, power)
    weight = jnp.ones((), x.dtype) if class_weight is None else _weight_of_rows(class_weight, x)
    distance = maximum[..., None] - x
    q = _target(x, target, axis_name)
    of_target, even = weight * q, jnp.where(exists, weight, 0.0)
    sums = jnp.stack(
        [
            jnp.sum(power, -1),
            jnp.sum(exists.astype(x.dtype), -1),
            jnp.sum(of_target, -1),
            jnp.sum(jnp.where(of_target == 0, 0.0, of_target * distance), -1),
            jnp.sum(even, -1),
            jnp.sum(jnp.where(even == 0, 0.0, even * distance), -1),
        ]
    )
    others, count, target_weight, target_distance, even_weight, even_distance = jnp.sum(
        _gather(sums, axis_name), 0
    )
    counted = _counted(target, by_index, options)
    valued = counted & (count > 0)
    log_total = jnp.log1p(others)
    rows = _Rows(others, log_total, valued, jnp.zeros_like(others), jnp.maximum(count, 1.0))
    if options.focal_gamma:
        a = _coefficients(x, target, class_weight, where, rows.class_count, options, axis_name)
        p, complement = _probabilities(x, maximum, others)
        terms = _focal(x, a, maximum, rows, p, complement, options.focal_gamma)
        loss, pull = jnp.sum(_gather(jnp.sum(jnp.stack(terms), -1), axis_name), 0)
    else:
        smoothing = options.label_smoothing
        share = smoothing / rows.class_count
        loss = (1 - smoothing) * (_product(target_weight, log_total) + target_distance)
        pull = (1 - smoothing) * target_weight
        if smoothing:
            loss = loss + share * (even_weight * log_total + even_distance)
            pull = pull + share * even_weight
    if options.z_loss:
        logsumexp = maximum + log_total
        loss = loss + options.z_loss * target_weight * logsumexp**2
        pull = pull + 2 * options.z_loss * target_weight * logsumexp
    loss = jnp.where(valued, jnp.where(jnp.isfinite(maximum), loss, jnp.nan), 0.0)
    mean_weight = target_weight if by_index else jnp.ones_like(loss)
    return loss, jnp.where(counted, mean_weight, 0.0), maximum, rows._replace(pull=pull)


def _gather(values: jax.Array, axis_name: str) -> jax.Array:
    """Return the values of every device, as (devices, ...), known to be the same on each.

    A sum of zeros and one number is exact in any order; sums of what is gathered then have one order.
    """
    shape = (jax.lax.axis_size(axis_name), *values.shape)
    placed = jnp.zeros(shape, values.dtype).at[jax.lax.axis_index(axis_name)].set(values)
    return jax.lax.psum(placed, axis_name)


def _counted(target: Any, by_index: bool, options: LossOptions) -> jax.Array:
    if not by_index:
        return jnp.ones(target.shape[:-1], bool)
    if options.ignore_index is None:
        return jnp.ones(target.shape, bool)
    return target != options.ignore_index


def _visible(logits: Any, target: Any, where: Any, options: LossOptions) -> jax.Array:
    """Return the logits: 0 in rows that are not counted, -inf in masked classes."""
    counted = _counted(target, target.ndim < logits.ndim, options)
    x = jnp.where(counted[..., None], widened(logits), 0.0)
    return x if where is None else jnp.where(where, x, -jnp.inf)


def _target(x: jax.Array, target: Any, axis_name: str) -> jax.Array:
    """Return this device's part of the target, as probabilities."""
    if target.ndim == x.ndim:
        return target.astype(x.dtype)
    first_class = jax.lax.axis_index(axis_name).astype(target.dtype) * x.shape[-1]
    return (target[..., None] == first_class + _generic.places_along(jnp, x, target.dtype)).astype(x.dtype)


def _coefficients(
    x: jax.Array,
    target: Any,
    class_weight: Any,
    where: Any,
    class_count: jax.Array,
    options: LossOptions,
    axis_name: str,
) -> jax.Array:
    """Return the coefficient of each class's term."""
    a = (1 - options.label_smoothing) * _target(x, target, axis_name)
    if options.label_smoothing:
        share = options.label_smoothing / class_count[..., None]
        a = a + (share if where is None else jnp.where(where, share, 0.0))
    return a if class_weight is None else a * _weight_of_rows(class_weight, x)


def _weight_of_rows(class_weight: jax.Array, x: jax.Array) -> jax.Array:
    return _generic.with_axes(jnp, widened(class_weight), x.ndim)


def _probabilities(x: jax.Array, maximum: jax.Array, others: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute p and 1 - p, both to the last digits."""
    p = jnp.exp(x - maximum[..., None]) / (1 + others)[..., None]
    p = jnp.where((x == -jnp.inf) & jnp.isfinite(maximum)[..., None], 0.0, p)
    return p, jnp.where(x == maximum[..., None], (others / (1 + others))[..., None], 1 - p)


def _focal(
    x: jax.Array,
    a: jax.Array,
    maximum: jax.Array,
    rows: _Rows,
    p: jax.Array,
    complement: jax.Array,
    gamma: float,
) -> tuple[jax.Array, jax.Array]:
    """Return each class's term of the loss, and its slope."""
    used = a != 0
    negative_log = jnp.where(used, rows.log_total[..., None] + (maximum[..., None] - x), 0.0)
    focus = complement**gamma
    edge = (p == 0) | (complement == 0)
    inner = jnp.where(edge, 0.0, p * jnp.where(edge, 0.0, negative_log))
    steep = jnp.where(edge, 0.0, jnp.where(edge, 1.0, complement) ** (gamma - 1)) * inner
    return jnp.where(used, a * focus * negative_log, 0.0), a * (focus + gamma * steep)


def _product(weight: jax.Array, value: jax.Array) -> jax.Array:
    return jnp.where(weight == 0, 0.0, weight * value)
