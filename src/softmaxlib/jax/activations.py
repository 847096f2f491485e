"""softmax, log_softmax, logsumexp, sparsemax and entmax of JAX arrays."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .. import _generic
from .._arrays import check_axis
from .._checks import check_flag, check_order
from .._renamed import checked_keywords
from ._arguments import (
    Axis,
    as_floating,
    as_mask,
    as_temperature,
    check_known_classes,
    keep_arguments_only,
    known_tangent,
    widened,
)
from ._meshes import sorting_over_any_mesh

_ORDERS_IN_CLOSED_FORM = (1.0, 1.5, 2.0)  # the others are found by bisection, from a start by the classes

Options = tuple[tuple[str, Any], ...]  # named and hashable, so that a compiled function can depend on them

__all__ = ["entmax", "log_softmax", "logsumexp", "softmax", "sparsemax"]


@checked_keywords
def softmax(x: Any, /, axis: Axis = -1, *, temperature: Any = 1.0, where: Any = None) -> jax.Array:
    r"""Compute probabilities from logits: positive numbers with sum 1 along ``axis``.

    .. math:: p_i = \frac{\exp((x_i - \max x) / T)}{\sum_j \exp((x_j - \max x) / T)}

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers become JAX's default float. Half precision is computed in float32.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    temperature : scalar, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it. A traced
        temperature gets a gradient, and gives NaN if it is not above 0.
    where : array_like of bool, optional
        True for the entries that take part. Broadcasts to ``x``. Masked entries have probability 0 and
        derivative 0.

    Returns
    -------
    jax.Array
        Probabilities in the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If ``temperature`` is known and not above 0, or ``where`` does not broadcast.
    softmaxlib.errors.UnsupportedTypeError
        If logits are bool or complex, or the mask is not bool.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> [round(float(p), 4) for p in softmaxlib.jax.softmax([2.0, 1.0, 0.1])]
    [0.659, 0.2424, 0.0986]
    """
    return _evaluate(_softmax, x, axis, where, temperature)


@checked_keywords
def log_softmax(x: Any, /, axis: Axis = -1, *, temperature: Any = 1.0, where: Any = None) -> jax.Array:
    r"""Compute the logarithm of softmax without losing digits in confident rows.

    .. math:: \log p_i = (x_i - \max x) / T - \log \sum_j \exp((x_j - \max x) / T)

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers become JAX's default float. Half precision is computed in float32.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    temperature : scalar, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it. A traced
        temperature gets a gradient, and gives NaN if it is not above 0.
    where : array_like of bool, optional
        True for the entries that take part. Broadcasts to ``x``. Masked entries have value -inf and
        derivative 0.

    Returns
    -------
    jax.Array
        Numbers from -inf to 0, in the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If ``temperature`` is known and not above 0, or ``where`` does not broadcast.
    softmaxlib.errors.UnsupportedTypeError
        If logits are bool or complex, or the mask is not bool.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> float(softmaxlib.jax.log_softmax([0.0, -20.0])[0])
    -2.0611...e-09
    """
    return _evaluate(_log_softmax, x, axis, where, temperature)


@checked_keywords
def logsumexp(x: Any, /, axis: Axis = -1, *, where: Any = None, keepdims: bool = False) -> jax.Array:
    r"""Compute the logarithm of the sum of exponentials along ``axis``.

    .. math:: \max x + \log \sum_j \exp(x_j - \max x)

    Parameters
    ----------
    x : array_like, shape (..., K)
        Numbers. Integers become JAX's default float. Half precision is computed in float32.
    axis : int, tuple of int or None, default -1
        The axes of the sum. None means all.
    where : array_like of bool, optional
        True for the entries that take part. Broadcasts to ``x``.
    keepdims : bool, default False
        Keep the reduced axes, with length 1.

    Returns
    -------
    jax.Array
        The logarithms. -inf if a row has no entry that takes part. The derivative is the softmax.

    Raises
    ------
    softmaxlib.errors.UnsupportedTypeError
        If numbers are bool or complex, the mask is not bool, or ``keepdims`` is not True or False.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> float(softmaxlib.jax.logsumexp([1000.0, 1000.0]))
    1000.693...
    """
    x, keepdims = as_floating(x), check_flag(keepdims, "keepdims")
    axes = check_axis(axis, x.ndim)
    if any(x.shape[one] == 0 for one in axes):
        as_mask(where, x.shape)
        one_more = [(0, int(one in axes)) for one in range(x.ndim)]
        x, where = jnp.pad(x, one_more, constant_values=-jnp.inf), None
    return _evaluate(_logsumexp, x, axes, where, keepdims=keepdims)


@checked_keywords
def sparsemax(x: Any, /, axis: Axis = -1, *, where: Any = None) -> jax.Array:
    """Compute probabilities with exact zeros.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    where : array_like of bool, optional
        True for the entries that take part. Broadcasts to ``x``.

    Returns
    -------
    jax.Array
        Probabilities in the shape of ``x``.

    See Also
    --------
    softmaxlib.sparsemax : The formula and its source.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> softmaxlib.jax.sparsemax([1.0, 0.5, -1.0]).tolist()
    [0.75, 0.25, 0.0]
    """
    return entmax(x, 2.0, axis, where=where)


@checked_keywords
def entmax(x: Any, /, alpha: Any = 1.5, axis: Axis = -1, *, where: Any = None) -> jax.Array:
    """Compute probabilities between softmax (``alpha`` 1) and sparsemax (2), with exact zeros above 1.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits.
    alpha : float or array_like, default 1.5
        Order of the entropy, above 0. One number, or one per row (for example per attention head), in the
        shape of ``x`` without ``axis`` or with length 1 there. An array may be traced, and gets a gradient.
    axis : int, tuple of int or None, default -1
        The axes of the classes. None means all.
    where : array_like of bool, optional
        True for the entries that take part. Broadcasts to ``x``.

    Returns
    -------
    jax.Array
        Probabilities in the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If ``alpha`` is known and not positive and finite.
    softmaxlib.errors.UnsupportedTypeError
        If a program is exported for any number of classes with another ``alpha`` than 1, 1.5 and 2.

    See Also
    --------
    softmaxlib.entmax : The formula and its source.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> softmaxlib.jax.entmax([2.0, 0.0, 0.0]).round(4).tolist()
    [1.0, 0.0, 0.0]
    """
    x = as_floating(x)
    axes = check_axis(axis, x.ndim)
    order = check_order(alpha, x, axes)
    if not (isinstance(order, float) and order in _ORDERS_IN_CLOSED_FORM):
        check_known_classes(
            math.prod(x.shape[one] for one in axes), "entmax with another alpha than 1, 1.5 and 2"
        )
    if isinstance(order, float):
        return sorting_over_any_mesh(
            lambda x, where: _evaluate(_entmax, x, axes, where, alpha=order), x, as_mask(where, x.shape)
        )
    return _entmax_of_orders(x, order, as_mask(where, x.shape), axes)


def _evaluate(
    function: Any, x: Any, axis: Axis, where: Any, temperature: Any = 1.0, **options: Any
) -> jax.Array:
    """Call a function made by `_differentiable` with the arguments of users."""
    x = as_floating(x)
    axes = check_axis(axis, x.ndim)
    named = {"axis": axes, **options}
    where = as_mask(where, x.shape)
    return function(x, as_temperature(temperature, x, axes), where, tuple(named.items()))


def _differentiable(definition: Any, derivative: Any) -> Any:
    """Combine a definition with its handwritten derivative, compiled as a whole.

    ``definition(x, where=..., **options)`` is a function of the logits over the temperature; ``derivative(x,
    result, tangent, where=..., **options)`` is its derivative. Intermediate values are recomputed in the
    backward pass: only the arguments that it reads are kept.
    """

    @partial(jax.custom_jvp, nondiff_argnums=(3,))
    def function(x: Any, temperature: Any, where: Any, options: Options) -> Any:
        wide, axis = widened(x), dict(options)["axis"]
        if x.size == 0:
            return wide
        return definition(_over_temperature(wide, temperature, where, axis), where=where, **dict(options))

    @partial(function.defjvp, symbolic_zeros=True)
    def _(options: Options, primals: Any, tangents: Any) -> tuple[Any, Any]:
        result = function(*primals, options)

        def slope(x: Any, temperature: Any, where: Any, result: Any, moved: tuple[Any, Any]) -> Any:
            wide, axis = widened(x), dict(options)["axis"]
            tangent = _tangent_times_temperature(wide, temperature, where, moved, axis)
            change = derivative(wide, result, tangent, where=where, **dict(options))
            return change if temperature is None else change / temperature

        return result, keep_arguments_only(slope)(*primals, result, tuple(map(known_tangent, tangents[:2])))

    @partial(jax.jit, static_argnames="options")
    def compiled(x: Any, temperature: Any, where: Any, options: Options) -> Any:
        return function(x, temperature, where, options).astype(x.dtype)  # rounded once

    return compiled


def _over_temperature(x: Any, temperature: Any, where: Any, axis: tuple[int, ...]) -> Any:
    """Compute (x - max) / T, which leaves softmax unchanged."""
    if temperature is None:
        return x
    temperature = jnp.where(temperature > 0, temperature, jnp.nan)  # a traced one has not been checked
    visible = x if where is None else jnp.where(where, x, -jnp.inf)
    shifted = x - jnp.max(visible, axis=axis, keepdims=True)
    finite = jnp.isfinite(shifted)  # infinite entries do not change with T
    return jnp.where(finite, jnp.where(finite, shifted, 0.0) / temperature, shifted)


def _tangent_times_temperature(
    x: Any, temperature: Any, where: Any, moved: tuple[Any, Any], axis: tuple[int, ...]
) -> Any:
    """Return T times the derivative of (x - max) / T by logits and T, up to a constant along the axis."""
    of_x, of_temperature = moved
    tangent = jnp.zeros_like(x) if of_x is None else widened(of_x)
    if of_temperature is None:
        return tangent
    scaled = _over_temperature(x, temperature, where, axis)
    return tangent - jnp.where(jnp.isfinite(scaled), scaled, 0.0) * of_temperature


def _softmax_slope(x: Any, p: Any, tangent: Any, *, where: Any, axis: Any, alpha: float = 1.0) -> Any:
    return _generic.simplex_vjp(jnp, p, tangent, axis=axis, alpha=alpha)  # p is 0 under the mask


def _log_softmax_slope(x: Any, log_p: Any, tangent: Any, *, where: Any, axis: Any) -> Any:
    return _generic.log_softmax_jvp(jnp, jnp.exp(log_p), tangent, axis=axis, where=where)


def _logsumexp_slope(x: Any, result: Any, tangent: Any, *, where: Any, axis: Any, keepdims: bool) -> Any:
    tangent = tangent if where is None else jnp.where(where, tangent, 0.0)
    visible = x if where is None else jnp.where(where, x, -jnp.inf)
    nothing = jnp.all(visible == -jnp.inf, axis=axis, keepdims=True)  # which no logit moves
    p = _softmax(jnp.where(nothing, 0.0, x), None, where, (("axis", axis),))
    return jnp.sum(jnp.where(nothing, 0.0, p) * tangent, axis=axis, keepdims=keepdims)


_softmax = _differentiable(partial(_generic.softmax, jnp), _softmax_slope)
_log_softmax = _differentiable(partial(_generic.log_softmax, jnp), _log_softmax_slope)
_logsumexp = _differentiable(partial(_generic.logsumexp, jnp), _logsumexp_slope)
_entmax = _differentiable(partial(_generic.entmax, jnp), _softmax_slope)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _orders(x: Any, alpha: Any, where: Any, axis: tuple[int, ...]) -> Any:
    if x.size == 0:
        return widened(x)
    return _generic.entmax(jnp, widened(x), axis=axis, alpha=alpha, where=where)


@_orders.defjvp
def _(axis: tuple[int, ...], primals: Any, tangents: Any) -> tuple[Any, Any]:
    _, alpha, where = primals
    p, moved = _orders(*primals, axis), widened(tangents[0])
    slope = _generic.entmax_order_slope(jnp, p, axis=axis, alpha=alpha, where=where)
    along = _generic.simplex_vjp(jnp, p, moved, axis=axis, alpha=alpha, where=where)
    return p, along + slope * tangents[1]


@partial(jax.jit, static_argnames="axis")
def _entmax_of_orders(x: Any, alpha: Any, where: Any, axis: tuple[int, ...]) -> jax.Array:
    return _orders(x, alpha, where, axis).astype(x.dtype)
