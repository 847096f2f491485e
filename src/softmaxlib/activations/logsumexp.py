"""The logarithm of a sum of exponentials."""

import numpy.typing as npt
from numpy import ndarray

from .. import _generic, _kernels
from .._arrays import Array, Axis, foreign_namespace, refuse_out
from .._checks import check_activation
from .._frameworks import as_fast_graph_node, evaluate_in_shell, is_compiling


@as_fast_graph_node
def logsumexp(
    x: Array,
    /,
    axis: Axis = -1,
    *,
    where: Array | None = None,
    keepdims: bool = False,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
) -> Array:
    """Compute the smooth maximum of each row of logits: the logarithm of softmax's denominator.

    ::

        logsumexp(x) = max(x) + log1p(sum over the others j of exp(x[j] - max(x)))

    Parameters
    ----------
    x : array_like, shape (..., K, ...)
        Logits in nats. Integers are computed and returned in float64.
    axis : int, tuple of int or None, default -1
        The axis or axes that are summed over; None for all.
    where : array_like of bool, broadcastable to the shape of ``x``, optional
        True where an element takes part.
    keepdims : bool, default False
        Keep the axes that were summed over, with length 1.
    dtype : dtype, optional
        Of the result: float16, bfloat16, float32 or float64. Computed in the wider of it and the
        input's, and rounded once.
    out : ndarray, optional
        Receives the result.

    Returns
    -------
    array, shape of ``x`` less ``axis``
        Of the kind, device and dtype of ``x``; at least the row's maximum. -inf for an empty or wholly
        masked row and one of -inf only, +inf for a row that holds +inf, NaN for one that holds NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object, text and floats of more than 64 bits, and an ``out`` of another dtype.
    InvalidInputError
        For a mask or an ``out`` of another shape.
    numpy.exceptions.AxisError
        For an axis that ``x`` does not have.

    Notes
    -----
    NumPy arrays: at most 1 ULP of the exact value in float32, 2 ULP in float64, also where the result is
    near 0 and the two terms of the formula cancel (there the sum is taken again with more digits); the same
    bits for the same row everywhere, as for `softmax`.

    References
    ----------
    Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J.
    Numer. Anal. (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import logsumexp
    >>> logsumexp(np.array([1000.0, 1000.0])).round(6)
    np.float64(1000.693147)
    """
    if type(x) is not ndarray and is_compiling():
        return logsumexp(x, axis, where=where, keepdims=keepdims, dtype=dtype, out=out)
    result = _kernels.logsumexp(x, axis, where, keepdims, dtype, out)
    if result is not NotImplemented:
        return result
    if foreign_namespace(x) is None:
        call = check_activation(x, axis, where, dtype=dtype, out=out, reduces=True, keepdims=keepdims)
        result = _kernels.logsumexp(call.x, call.axes, call.where, keepdims, call.dtype, call.out)
        return result if out is None else out
    refuse_out(out)
    if dtype is None:
        result = evaluate_in_shell("logsumexp", x, axis, where, keepdims=keepdims)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(
        _generic.logsumexp, {"x": x}, axis=axis, where=where, dtype=dtype, keepdims=keepdims
    )
