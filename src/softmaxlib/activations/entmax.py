"""The family between softmax and sparsemax, and beyond."""

from typing import Any

import numpy as np

from .. import _generic, _kernels
from .._arrays import Array, Axis, as_numpy, check_axis, foreign_namespace, take_masks
from .._checks import check_activation, check_order
from .._frameworks import as_graph_node, evaluate_in_shell
from .derivatives import softmax_jvp
from .softmax import softmax


@as_graph_node
def entmax(x: Array, /, alpha: Array = 1.5, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute the probabilities that maximize ``p . x`` plus the Tsallis entropy of order ``alpha``.

    One number sets how sparse the result is::

        entmax(x) = max((alpha - 1) x - tau, 0)^(1 / (alpha - 1))

    with tau such that the row sums to one. ``alpha = 1`` is softmax (no zeros), 1.5 the common choice,
    2 is sparsemax; as alpha grows, hardmax. Adding a constant to a row changes nothing.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are taken as float64.
    alpha : float or array_like
        Order of the entropy, above 0: one number, or one per row (a head, ...), in the shape of ``x`` without
        ``axis`` or broadcasting to ``x`` with 1 there. Below 1 the tails are heavier than softmax's. An
        array of torch or jax may be learned: it has its derivative.
    axis : int, tuple of int or None
        The axis (or axes together) over which the result sums to one; None takes all elements.
    where : array_like of bool, optional
        Classes that take part, of a shape that broadcasts to that of ``x``; the others are 0.

    Returns
    -------
    array, shape (..., K)
        Of the kind and dtype of ``x``. A row with NaN or +inf, or -inf throughout, is NaN; a row that is
        masked throughout is zero.

    Raises
    ------
    InvalidInputError
        For an ``alpha`` that is not finite and above 0, or not one number per row.
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``x`` does not have.

    Notes
    -----
    1, 1.5 and 2 are exact up to rounding, from a closed form on the support, and compiled for NumPy, with
    the same bits for the same row everywhere, as for `softmax`. Other orders find tau by
    bisection and Newton's method, to the last bit; the sum of a row is 1 to rounding while alpha is at
    most 2, and beyond, where an entry rises from zero with infinite slope, to some 1e-8. Narrower
    NumPy arrays are computed in float64 and rounded once.

    Source: Peters, Niculae & Martins, "Sparse sequence-to-sequence models" (ACL 2019); for the derivative by
    ``alpha`` Correia, Niculae & Martins, "Adaptively sparse transformers" (EMNLP 2019).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import entmax
    >>> entmax(np.array([2.0, 1.0, -2.0])).round(4)
    array([0.8307, 0.1693, 0.    ])
    >>> entmax(np.array([2.0, 1.0, -2.0]), alpha=1.0).round(4)
    array([0.7214, 0.2654, 0.0132])
    """
    return onto_simplex(x, alpha, axis, where)


@as_graph_node
def entmax_vjp(
    p: Array, cotangent: Array, /, alpha: Array = 1.5, axis: Axis = -1, *, where: Array | None = None
) -> Array:
    """Compute the derivative of a loss by the logits from that by the output of ``entmax``.

    With the weights ``s = p^(2 - alpha)`` on the support and 0 elsewhere::

        s (g - sum(s g) / sum(s))

    The Jacobian is symmetric, so this is the Jacobian-vector product as well.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``entmax`` with the same ``alpha``.
    cotangent : array_like, shape (..., K)
        Derivative of the loss by ``p``.
    alpha : float or array_like
        Order of the entropy, as it was given to ``entmax``.
    axis : int, tuple of int or None
        The axis (or axes together) over which ``p`` sums to one.
    where : array_like of bool, optional
        Classes that took part, of a shape that broadcasts to that of ``p``.

    Returns
    -------
    array, shape (..., K)
        Of the kind and dtype of the arguments; each row sums to zero.

    Raises
    ------
    InvalidInputError
        When the shapes differ; for an ``alpha`` that is not finite and above 0.
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``p`` does not have.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import entmax_vjp
    >>> entmax_vjp(np.array([0.64, 0.36, 0.0]), np.array([1.0, 0.0, 5.0])).round(4)
    array([ 0.3429, -0.3429,  0.    ])
    """
    operands = {"p": p, "cotangent": cotangent}
    like = p if foreign_namespace(p) is not None or foreign_namespace(cotangent) is None else cotangent
    order = order_of_rows(alpha, like, axis)
    if isinstance(order, float) and order == 1:
        return softmax_jvp(p, cotangent, axis, where=where)
    return _generic.evaluate(_generic.simplex_vjp, operands, axis=axis, where=where, alpha=order)


def order_of_rows(alpha: Array, x: Array, axis: Axis) -> Any:
    """The checked order of the entropy: a float, or an array with one number per row of ``x``."""
    like = np.broadcast_to(0.0, np.shape(x)) if foreign_namespace(x) is None else x
    return check_order(alpha, like, check_axis(axis, like.ndim))


def onto_simplex(x: Array, alpha: Array, axis: Axis, where: Array | None) -> Array:
    """entmax: compiled where there is a kernel, by the shell that knows its derivatives, or by definition."""
    order = order_of_rows(alpha, x, axis)
    if foreign_namespace(x) is None:
        unmasked, where = take_masks({"x": x}, where)
        x = as_numpy(unmasked["x"], "x")
        if isinstance(order, float) and order in _KERNELS and x.dtype.itemsize <= 8:  # not long double
            result = _KERNELS[order](x, axis, where)
            if result is not NotImplemented:
                return result
            call = check_activation(x, axis, where)
            return _KERNELS[order](call.x, call.axes, call.where)
    else:
        result = evaluate_in_shell("entmax", x, axis, where, alpha=order)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(_generic.entmax, {"x": x}, axis=axis, where=where, alpha=order)


def _softmax(x: Array, axis: Axis, where: Array | None) -> Array:
    return softmax(x, axis, where=where)


_KERNELS = {1.0: _softmax, 1.5: _kernels.entmax15, 2.0: _kernels.sparsemax}
