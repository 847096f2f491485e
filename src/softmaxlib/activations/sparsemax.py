"""The simplex point nearest to the logits."""

from .. import _generic
from .._arrays import Array, Axis
from .._frameworks import as_graph_node
from .entmax import onto_simplex


@as_graph_node
def sparsemax(x: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute probabilities with exact zeros: the point of the simplex nearest to the logits.

    Where softmax gives every class a share, sparsemax gives the unlikely ones none::

        sparsemax(x) = argmin over p of |p - x|^2 = max(x - tau, 0)

    with tau such that the row sums to one. Adding a constant to a row changes nothing. Logits that lead
    by 1 or more take all.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are taken as float64.
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
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``x`` does not have.

    See Also
    --------
    entmax : the family that has softmax at one end and sparsemax further on.

    Notes
    -----
    Exact up to rounding: no entry is off by more than 4 units of 2^-53 in float64; narrower NumPy
    arrays are computed in float64 and rounded once. The relative error of an entry that is nearly zero
    has no bound, since it is a difference. On NumPy a compiled kernel without sorting, with the same bits
    for the same row everywhere, as for `softmax`.

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
    """Compute the derivative of a loss by the logits from that by the output of ``sparsemax``.

    On the support S (the classes with ``p > 0``) the cotangent less its mean there, elsewhere 0::

        g_i - mean of g over S

    The Jacobian is symmetric, so this is the Jacobian-vector product as well. Where a class is just
    about to enter the support the derivative jumps; this is the one from outside.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``sparsemax``.
    cotangent : array_like, shape (..., K)
        Derivative of the loss by ``p``.
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
        When the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``p`` does not have.

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
