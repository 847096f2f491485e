"""softmax, log_softmax, logsumexp, sparsemax and entmax of JAX arrays."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from .. import _generic, _generic_simplex
from .._arrays import check_axis
from ..activations.entmax import check_order
from ._arguments import Axis, as_floating, as_mask, as_temperature

Options = tuple[tuple[str, Any], ...]  # named and hashable, so that a compiled function can depend on them

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
    return _evaluate(_softmax, x, axis, where, temperature)


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
    return _evaluate(_log_softmax, x, axis, where, temperature)


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
    wide, dtype = as_floating(x)
    axes = check_axis(axis, wide.ndim)
    if any(wide.shape[one] == 0 for one in axes):
        one_more = [(0, int(one in axes)) for one in range(wide.ndim)]
        wide, where = jnp.pad(wide, one_more, constant_values=-jnp.inf), None
    return _evaluate(_logsumexp, wide, axes, where, keepdims=keepdims).astype(dtype)


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
    return _evaluate(_entmax, x, axis, where, alpha=check_order(alpha))


def _evaluate(
    function: Any, x: Any, axis: Axis, where: Any, temperature: Any = 1.0, **options: Any
) -> jax.Array:
    """A function made by `_differentiable`, of arguments as users give them."""
    x, dtype = as_floating(x)
    named = {"axis": check_axis(axis, x.ndim), **options}
    where = as_mask(where, x.shape)
    return function(x, as_temperature(temperature), where, tuple(named.items())).astype(dtype)


def _differentiable(definition: Any, derivative: Any) -> Any:
    """A definition with its derivative by hand, compiled: else each operation would be, by itself.

    ``definition(x, where=..., **options)`` is a function of the logits over the temperature;
    ``derivative(x, result, tangent, where=..., **options)`` says how its result moves with them.
    """

    @partial(jax.custom_jvp, nondiff_argnums=(2,))
    def function(x: Any, where: Any, options: Options) -> Any:
        return x if x.size == 0 else definition(x, where=where, **dict(options))

    @function.defjvp
    def _(options: Options, primals: Any, tangents: Any) -> tuple[Any, Any]:
        x, where = primals
        result = function(x, where, options)
        return result, derivative(x, result, tangents[0], where=where, **dict(options))

    @partial(jax.jit, static_argnames="options")
    def compiled(x: Any, temperature: Any, where: Any, options: Options) -> Any:
        axis = dict(options)["axis"]
        return function(_over_temperature(x, temperature, where, axis), where, options)

    return compiled


def _over_temperature(x: Any, temperature: Any, where: Any, axis: tuple[int, ...]) -> Any:
    """(x - max) / T, whose maximum is a constant: softmax does not depend on what is subtracted."""
    if temperature is None or x.size == 0:
        return x
    visible = x if where is None else jnp.where(where, x, -jnp.inf)
    shifted = x - jax.lax.stop_gradient(jnp.max(visible, axis=axis, keepdims=True))
    finite = jnp.isfinite(shifted)  # what is not does not move with T
    return jnp.where(finite, jnp.where(finite, shifted, 0.0) / temperature, shifted)


def _softmax_slope(x: Any, p: Any, tangent: Any, *, where: Any, axis: Any, alpha: float = 1.0) -> Any:
    return _generic_simplex.simplex_vjp(jnp, p, tangent, axis=axis, alpha=alpha, where=where)


def _log_softmax_slope(x: Any, log_p: Any, tangent: Any, *, where: Any, axis: Any) -> Any:
    return _generic.log_softmax_jvp(jnp, jnp.exp(log_p), tangent, axis=axis, where=where)


def _logsumexp_slope(x: Any, result: Any, tangent: Any, *, where: Any, axis: Any, keepdims: bool) -> Any:
    tangent = tangent if where is None else jnp.where(where, tangent, 0.0)
    p = _softmax(x, None, where, (("axis", axis),))
    return jnp.sum(p * tangent, axis=axis, keepdims=keepdims)


_softmax = _differentiable(partial(_generic.softmax, jnp), _softmax_slope)
_log_softmax = _differentiable(partial(_generic.log_softmax, jnp), _log_softmax_slope)
_logsumexp = _differentiable(partial(_generic.logsumexp, jnp), _logsumexp_slope)
_entmax = _differentiable(partial(_generic_simplex.entmax, jnp), _softmax_slope)
