"""The family of functions that contains softmax and sparsemax."""

from typing import Any

from .. import _generic, _kernels
from .._arrays import Array, Axis, as_numpy, check_axis, foreign_namespace, shaped_like, take_masks
from .._checks import check_activation, check_order
from .._frameworks import as_graph_node, evaluate_in_shell
from .derivatives import softmax_jvp
from .softmax import softmax


@as_graph_node
def entmax(x: Array, /, alpha: Array = 1.5, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute probabilities with a chosen degree of sparsity, between softmax and sparsemax.

    The probabilities maximize ``p . x`` plus the Tsallis entropy of order ``alpha``::

        entmax(x) = max((alpha - 1) x - tau, 0)^(1 / (alpha - 1))

    with tau such that the row sums to 1. ``alpha = 1`` is softmax (no zeros), 1.5 is the usual choice, and 2
    is sparsemax. For large alpha the result approaches hardmax. Adding a constant to a row changes nothing.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are converted to float64.
    alpha : float or array_like
        Order of the entropy, above 0. One number, or one per row (for example per attention head), in the
        shape of ``x`` without ``axis`` or with length 1 there. Below 1 the tails are heavier than those of
        softmax. A torch or jax array gets a gradient, so it can be learned.
    axis : int, tuple of int or None
        The axis or axes over which the result sums to 1. None means all elements.
    where : array_like of bool, optional
        True for the classes that take part. Broadcasts to the shape of ``x``. The others become 0.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as ``x``. A row that contains NaN or +inf, or only -inf, becomes NaN. A
        fully masked row becomes 0.

    Raises
    ------
    InvalidInputError
        If ``alpha`` is not positive and finite, or not one number per row.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Notes
    -----
    Orders 1, 1.5 and 2 use a closed form and are exact up to rounding. For NumPy they are compiled, and the
    same row has the same bits everywhere, as for `softmax`. For other orders, bisection and Newton's method
    find the largest probability to the last bit, and the sum of a row is 1 up to rounding. Above alpha 2 an
    entry rises from 0 with infinite slope: its derivative may be as large as the type allows. Narrower
    NumPy arrays are computed in float64 and rounded once.

    Source: Peters, Niculae & Martins, "Sparse sequence-to-sequence models" (ACL 2019); for the derivative
    with respect to ``alpha``, Correia, Niculae & Martins, "Adaptively sparse transformers" (EMNLP 2019).

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
    """Backpropagate through ``entmax``: compute the gradient with respect to the logits.

    With weights ``s = p^(2 - alpha)`` where ``p > 0``, and 0 elsewhere::

        s (g - sum(s g) / sum(s))

    The Jacobian is symmetric, so this is also the Jacobian-vector product.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``entmax`` with the same ``alpha``.
    cotangent : array_like, shape (..., K)
        Gradient of the loss with respect to ``p``.
    alpha : float or array_like
        Order of the entropy, as given to ``entmax``.
    axis : int, tuple of int or None
        The axis or axes over which ``p`` sums to 1.
    where : array_like of bool, optional
        True for the classes that took part. Broadcasts to the shape of ``p``.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as the arguments. Each row sums to 0.

    Raises
    ------
    InvalidInputError
        If the shapes differ, or if ``alpha`` is not positive and finite.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``p`` does not have the axis.

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
    """Check the order of the entropy. Return a float, or an array with one number per row of ``x``."""
    like = shaped_like(x, "x")
    return check_order(alpha, like, check_axis(axis, like.ndim))


def onto_simplex(x: Array, alpha: Array, axis: Axis, where: Array | None) -> Array:
    """Compute entmax by a kernel, by the shell of the array library, or by definition."""
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
