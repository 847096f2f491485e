"""The family between softmax and sparsemax, and beyond."""

import math

from .. import _generic_simplex, _kernels
from .._arrays import Array, Axis, as_numpy, evaluate, foreign_namespace
from .._checks import check_real
from .._frameworks import as_graph_node
from ..errors import InvalidInputError
from .derivatives import softmax_jvp
from .softmax import softmax


@as_graph_node
def entmax(x: Array, /, alpha: float = 1.5, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Probabilities that maximise ``p . x`` plus the Tsallis entropy of order ``alpha``.

    One number sets how sparse the result is::

        entmax(x) = max((alpha - 1) x - tau, 0)^(1 / (alpha - 1))

    with tau such that the row sums to one. ``alpha = 1`` is softmax (no zeros), 1.5 the common choice,
    2 is sparsemax; as alpha grows, hardmax. Adding a constant to a row changes nothing.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are taken as float64.
    alpha : float
        Order of the entropy, 1 or more.
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
        For an ``alpha`` below 1, NaN or infinite.
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

    Source: Peters, Niculae & Martins, "Sparse sequence-to-sequence models" (ACL 2019).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import entmax
    >>> entmax(np.array([2.0, 1.0, -2.0])).round(4)
    array([0.8307, 0.1693, 0.    ])
    >>> entmax(np.array([2.0, 1.0, -2.0]), alpha=1.0).round(4)
    array([0.7214, 0.2654, 0.0132])
    """
    return onto_simplex(x, check_order(alpha), axis, where)


@as_graph_node
def entmax_vjp(
    p: Array, cotangent: Array, /, alpha: float = 1.5, axis: Axis = -1, *, where: Array | None = None
) -> Array:
    """Derivative of a loss by the logits, from its derivative by the output of ``entmax``.

    With the weights ``s = p^(2 - alpha)`` on the support and 0 elsewhere::

        s (g - sum(s g) / sum(s))

    The Jacobian is symmetric, so this is the Jacobian-vector product as well.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``entmax`` with the same ``alpha``.
    cotangent : array_like, shape (..., K)
        Derivative of the loss by ``p``.
    alpha : float
        Order of the entropy, 1 or more.
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
        When the shapes differ; for an ``alpha`` below 1, NaN or infinite.
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
    order = check_order(alpha)
    if order == 1:
        return softmax_jvp(p, cotangent, axis, where=where)
    operands = {"p": p, "cotangent": cotangent}
    return evaluate(_generic_simplex.simplex_vjp, operands, axis=axis, where=where, alpha=order)


def check_order(alpha: float) -> float:
    """The order of the entropy: finite and at least 1."""
    order = check_real(alpha, "alpha")
    if not 1 <= order < math.inf:
        raise InvalidInputError(
            f"alpha must be finite and at least 1, got {alpha}; "
            "1 is softmax, 2 is sparsemax, and the limit of infinite alpha is hardmax"
        )
    return order


def onto_simplex(x: Array, order: float, axis: Axis, where: Array | None) -> Array:
    """entmax of a checked order: compiled where there is a kernel, else by the definition."""
    if foreign_namespace(x) is None:
        x = as_numpy(x, "x")
        if order in _KERNELS and x.dtype.itemsize <= 8:  # the kernels know no long double
            return _KERNELS[order](x, axis, where)
    return evaluate(_generic_simplex.entmax, {"x": x}, axis=axis, where=where, alpha=order)


def _softmax(x: Array, axis: Axis, where: Array | None) -> Array:
    return softmax(x, axis, where=where)


_KERNELS = {1.0: _softmax, 1.5: _kernels.entmax15, 2.0: _kernels.sparsemax}
