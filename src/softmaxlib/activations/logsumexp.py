"""The logarithm of a sum of exponentials."""

import numpy.typing as npt

from .. import _generic, _kernels
from .._arrays import Array, Axis, foreign_namespace, refuse_out
from .._checks import check_activation, check_foreign_dtype
from .._frameworks import evaluate_in_shell, with_kernel


@with_kernel(_kernels.logsumexp)
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
    """Compute the logarithm of the sum of exponentials of each row, without overflow.

    ::

        logsumexp(x) = max(x) + log1p(sum over the others j of exp(x[j] - max(x)))

    Parameters
    ----------
    x : array_like, shape (..., K, ...)
        Logits: one score per class, of any size and sign. Integers are converted to float64.
    axis : int, tuple of int or None, default -1
        The axis or axes of the sum. None means all.
    where : array_like of bool, broadcastable to the shape of ``x``, optional
        True for the elements that take part.
    keepdims : bool, default False
        Keep the axes of the sum, with length 1.
    dtype : dtype, optional
        Dtype of the result: float16, bfloat16, float32 or float64. The computation uses the wider of this
        dtype and that of ``x``, and rounds once.
    out : ndarray, optional
        Array for the result.

    Returns
    -------
    array, shape of ``x`` without ``axis``
        The logarithms, with the array type, device and dtype of ``x``. They are at least the maximum of the
        row. The result is -inf for a row that is empty, fully masked or only -inf, +inf for a row that
        contains +inf, and NaN for a row that contains NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object, text and floats of more than 64 bits, and if ``out`` has another dtype.
    InvalidInputError
        If the mask or ``out`` has another shape.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Notes
    -----
    For NumPy arrays the error is at most 1 ULP in float32 and 2 ULP in float64. This also holds near 0, where
    the two terms of the formula cancel: the sum is then computed again with more digits. The same row has the
    same bits everywhere, as for `softmax`.

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
    if foreign_namespace(x) is None:
        call = check_activation(x, axis, where, dtype=dtype, out=out, reduces=True, keepdims=keepdims)
        result = _kernels.logsumexp(call.x, call.axes, call.where, keepdims, call.dtype, call.out)
        return result if out is None else out
    refuse_out(out)
    dtype = check_foreign_dtype(dtype, x)
    if dtype is None:
        result = evaluate_in_shell("logsumexp", x, axis, where, keepdims=keepdims)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(
        _generic.logsumexp, {"x": x}, axis=axis, where=where, dtype=dtype, keepdims=keepdims
    )
