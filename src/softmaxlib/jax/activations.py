"""softmax, log_softmax, logsumexp, sparsemax and entmax of JAX arrays."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .. import _generic, _generic_simplex
from .._arrays import check_axis
from ..activations.entmax import check_order
from ._arguments import Axis, as_floating, as_mask, as_temperature

__all__ = ["entmax", "log_softmax", "logsumexp", "softmax", "sparsemax"]


def softmax(x: Any, /, axis: Axis = -1, *, temperature: Any = 1.0, where: Any = None) -> jax.Array:
    r"""Turn logits into probabilities: positive numbers with sum 1 along ``axis``.

    .. math:: p_i = \frac{\exp((x_i - \max x) / T)}{\sum_j \exp((x_j - \max x) / T)}

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers become JAX's default float; half precision is computed in float32.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes; None means all of them.
    temperature : scalar, default 1.0
        Above 1 flatter, below 1 sharper; above 0. It may be traced, and has a derivative.
    where : array_like of bool, optional
        True takes part; broadcasts to ``x``. What it hides has probability 0 and derivative 0.

    Returns
    -------
    jax.Array
        Probabilities of the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        When ``temperature`` is known and not above 0, or ``where`` does not broadcast.
    softmaxlib.errors.UnsupportedTypeError
        For logits that are bool or complex, or a mask that is not bool.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> [round(float(p), 4) for p in softmaxlib.jax.softmax([2.0, 1.0, 0.1])]
    [0.659, 0.2424, 0.0986]
    """
    x, dtype = as_floating(x)
    where = as_mask(where, x.shape)
    return _jitted_softmax(x, as_temperature(temperature), where, check_axis(axis, x.ndim)).astype(dtype)


def log_softmax(x: Any, /, axis: Axis = -1, *, temperature: Any = 1.0, where: Any = None) -> jax.Array:
    r"""Logarithms of the softmax probabilities, with every digit of a confident row.

    .. math:: \log p_i = (x_i - \max x) / T - \log \sum_j \exp((x_j - \max x) / T)

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers become JAX's default float; half precision is computed in float32.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes; None means all of them.
    temperature : scalar, default 1.0
        Above 1 flatter, below 1 sharper; above 0. It may be traced, and has a derivative.
    where : array_like of bool, optional
        True takes part; broadcasts to ``x``. What it hides has the value -inf and derivative 0.

    Returns
    -------
    jax.Array
        Numbers from -inf to 0, of the shape of ``x``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        When ``temperature`` is known and not above 0, or ``where`` does not broadcast.
    softmaxlib.errors.UnsupportedTypeError
        For logits that are bool or complex, or a mask that is not bool.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> float(softmaxlib.jax.log_softmax([0.0, -20.0])[0])
    -2.0611...e-09
    """
    x, dtype = as_floating(x)
    where = as_mask(where, x.shape)
    return _jitted_log_softmax(x, as_temperature(temperature), where, check_axis(axis, x.ndim)).astype(dtype)


def logsumexp(x: Any, /, axis: Axis = -1, *, where: Any = None, keepdims: bool = False) -> jax.Array:
    r"""Logarithm of the sum of exponentials along ``axis``.

    .. math:: \max x + \log \sum_j \exp(x_j - \max x)

    Parameters
    ----------
    x : array_like, shape (..., K)
        Numbers. Integers become JAX's default float; half precision is computed in float32.
    axis : int, tuple of int or None, default -1
        What is reduced; None means all axes.
    where : array_like of bool, optional
        True takes part; broadcasts to ``x``.
    keepdims : bool, default False
        Keep the reduced axes, with length 1.

    Returns
    -------
    jax.Array
        -inf where nothing takes part. The derivative is the softmax.

    Raises
    ------
    softmaxlib.errors.UnsupportedTypeError
        For numbers that are bool or complex, or a mask that is not bool.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> float(softmaxlib.jax.logsumexp([1000.0, 1000.0]))
    1000.693...
    """
    x, dtype = as_floating(x)
    axes = check_axis(axis, x.ndim)
    if any(x.shape[one] == 0 for one in axes):
        x = jnp.pad(x, [(0, int(one in axes)) for one in range(x.ndim)], constant_values=-jnp.inf)
        where = None
    result = _jitted_logsumexp(x, as_mask(where, x.shape), axes)
    return (result if keepdims else jnp.squeeze(result, axes)).astype(dtype)


def sparsemax(x: Any, /, axis: Axis = -1, *, where: Any = None) -> jax.Array:
    """Probabilities with exact zeros: the point of the simplex nearest to the logits.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes; None means all of them.
    where : array_like of bool, optional
        True takes part; broadcasts to ``x``.

    Returns
    -------
    jax.Array
        Probabilities of the shape of ``x``.

    See Also
    --------
    softmaxlib.sparsemax : the formula and its source.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> softmaxlib.jax.sparsemax([1.0, 0.5, -1.0]).tolist()
    [0.75, 0.25, 0.0]
    """
    return entmax(x, 2.0, axis, where=where)


def entmax(x: Any, /, alpha: float = 1.5, axis: Axis = -1, *, where: Any = None) -> jax.Array:
    """Probabilities between softmax (``alpha`` 1) and sparsemax (2), with exact zeros above 1.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits.
    alpha : float, default 1.5
        1 or more; a Python number, not traced.
    axis : int, tuple of int or None, default -1
        The axes that hold the classes; None means all of them. On a mesh with explicit axes they must not be
        split over devices: JAX does not sort what is.
    where : array_like of bool, optional
        True takes part; broadcasts to ``x``.

    Returns
    -------
    jax.Array
        Probabilities of the shape of ``x``.

    See Also
    --------
    softmaxlib.entmax : the formula and its source.

    Examples
    --------
    >>> import softmaxlib.jax
    >>> softmaxlib.jax.entmax([2.0, 0.0, 0.0]).round(4).tolist()
    [1.0, 0.0, 0.0]
    """
    x, dtype = as_floating(x)
    where = as_mask(where, x.shape)
    return _jitted_entmax(x, where, check_axis(axis, x.ndim), check_order(alpha)).astype(dtype)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _softmax(x: Any, temperature: Any, where: Any, axis: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    return _generic.softmax(jnp, x, axis=axis, temperature=temperature, where=where)


@_softmax.defjvp
def _softmax_jvp(axis: tuple[int, ...], primals: Any, tangents: Any) -> Any:
    p = _softmax(*primals, axis)
    tangent = _tangent_of_scaled(axis, primals, tangents)
    return p, _generic_simplex.simplex_vjp(jnp, p, tangent, axis=axis, alpha=1.0, where=primals[2])


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _log_softmax(x: Any, temperature: Any, where: Any, axis: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    return _generic.log_softmax(jnp, x, axis=axis, temperature=temperature, where=where)


@_log_softmax.defjvp
def _log_softmax_jvp(axis: tuple[int, ...], primals: Any, tangents: Any) -> Any:
    log_p = _log_softmax(*primals, axis)
    tangent = _tangent_of_scaled(axis, primals, tangents)
    return log_p, _generic.log_softmax_jvp(jnp, jnp.exp(log_p), tangent, axis=axis, where=primals[2])


def _tangent_of_scaled(axis: tuple[int, ...], primals: Any, tangents: Any) -> Any:
    """How (x - max) / T moves with x and T."""
    x, temperature, where = primals
    x_tangent, temperature_tangent, _ = tangents
    visible = x if where is None else jnp.where(where, x, -jnp.inf)
    shifted = visible - jnp.max(visible, axis=axis, keepdims=True)
    shifted = jnp.where(jnp.isfinite(shifted), shifted, 0.0)
    return (x_tangent - shifted / temperature * temperature_tangent) / temperature


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _logsumexp(x: Any, where: Any, axis: tuple[int, ...]) -> Any:
    return _generic.logsumexp(jnp, x, axis=axis, where=where, keepdims=True)


@_logsumexp.defjvp
def _logsumexp_jvp(axis: tuple[int, ...], primals: Any, tangents: Any) -> Any:
    x, where = primals
    tangent = tangents[0] if where is None else jnp.where(where, tangents[0], 0.0)
    slope = jnp.sum(_softmax(x, 1.0, where, axis) * tangent, axis=axis, keepdims=True)
    return _logsumexp(x, where, axis), slope


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _entmax(x: Any, where: Any, axis: tuple[int, ...], alpha: float) -> Any:
    if x.size == 0:
        return x
    return _generic_simplex.entmax(jnp, x, axis=axis, alpha=alpha, where=where)


@_entmax.defjvp
def _entmax_jvp(axis: tuple[int, ...], alpha: float, primals: Any, tangents: Any) -> Any:
    p = _entmax(*primals, axis, alpha)
    return p, _generic_simplex.simplex_vjp(jnp, p, tangents[0], axis=axis, alpha=alpha, where=primals[1])


# without jit each operation would be dispatched, and compiled, by itself
_jitted_softmax = jax.jit(_softmax, static_argnums=3)
_jitted_log_softmax = jax.jit(_log_softmax, static_argnums=3)
_jitted_logsumexp = jax.jit(_logsumexp, static_argnums=2)
_jitted_entmax = jax.jit(_entmax, static_argnums=(2, 3))
