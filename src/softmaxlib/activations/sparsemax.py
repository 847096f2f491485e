"""Projection of logits to the simplex, with exact zeros."""

from .. import _generic, _kernels
from .._arrays import Array, Axis
from .._frameworks import as_graph_node, with_kernel
from .entmax import onto_simplex


@with_kernel(_kernels.sparsemax)
def sparsemax(x: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute probabilities with exact zeros.

    The result is the point of the simplex nearest to the logits. Unlikely classes get exactly 0::

        sparsemax(x) = argmin over p of |p - x|^2 = max(x - tau, 0)

    with tau such that the row sums to 1. Adding a constant to a row changes nothing. A logit that leads by 1
    or more gets probability 1.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are converted to float64.
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
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    See Also
    --------
    entmax : The family that contains softmax and sparsemax.

    Notes
    -----
    The result is exact up to rounding: in float64 the error of an entry is at most 4 units of 2^-53. Narrower
    NumPy arrays are computed in float64 and rounded once. The relative error of an entry near 0 has no bound,
    because the entry is a difference. For NumPy a compiled kernel computes it without sorting. The same row
    has the same bits everywhere, as for `softmax`.

    Source: Martins & Astudillo, "From softmax to sparsemax" (ICML 2016); Condat, "Fast projection onto the
    simplex and the l1 ball" (Mathematical Programming 2016) for the method.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import sparsemax
    >>> sparsemax(np.array([1.0, 0.5, -1.0]))
    array([0.75, 0.25, 0.  ])
    """
    return onto_simplex(x, 2.0, axis, where)


@as_graph_node
def sparsemax_vjp(p: Array, cotangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Backpropagate through ``sparsemax``: compute the gradient with respect to the logits.

    On the support S (the classes with ``p > 0``), the cotangent minus its mean over S; elsewhere 0::

        g_i - mean of g over S

    The Jacobian is symmetric, so this is also the Jacobian-vector product. Where a class is about to enter
    the support, the derivative jumps. This is the derivative from outside.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``sparsemax``.
    cotangent : array_like, shape (..., K)
        Gradient of the loss with respect to ``p``.
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
        If the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``p`` does not have the axis.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import sparsemax_vjp
    >>> sparsemax_vjp(np.array([0.75, 0.25, 0.0]), np.array([1.0, 0.0, 5.0]))
    array([ 0.5, -0.5,  0. ])
    """
    return _generic.evaluate(
        _generic.simplex_vjp, {"p": p, "cotangent": cotangent}, axis=axis, where=where, alpha=2.0
    )
