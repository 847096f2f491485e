"""Logits to log-probabilities."""

import numpy.typing as npt
from numpy import ndarray

from .. import _generic, _kernels
from .._arrays import Array, Axis, check_axis, foreign_namespace, refuse_out
from .._checks import check_activation, check_temperature
from .._frameworks import as_fast_graph_node, evaluate_in_shell, is_compiling
from ._temperature_rows import run_by_temperature


@as_fast_graph_node
def log_softmax(
    x: Array,
    /,
    axis: Axis = -1,
    *,
    temperature: Array = 1.0,
    where: Array | None = None,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
) -> Array:
    """Compute the log-probabilities of the classes, with every digit of a confident row.

    ::

        log_softmax(x)[i] = (x[i] - max(x)) / T - log1p(sum over the others j of exp((x[j] - max(x)) / T))

    The maximum stays out of the sum, so that a certain class comes out as -2e-9 where ``log(softmax(x))``
    gives 0.

    Parameters
    ----------
    x : array_like, shape (..., K, ...)
        Logits: unbounded scores in nats. Integers are computed and returned in float64.
    axis : int, tuple of int or None, default -1
        The axis of the classes. A tuple makes one distribution over all of its axes, None over all
        elements.
    temperature : float or array_like, default 1.0
        T > 0 and finite: one number, or one per row, in the shape of ``x`` without ``axis`` or with 1 there.
        Large flattens the distribution, small sharpens it.
    where : array_like of bool, broadcastable to the shape of ``x``, optional
        True where an element takes part. The others get -inf, whatever they hold.
    dtype : dtype, optional
        Of the result: float16, bfloat16, float32 or float64. Computed in the wider of it and the
        input's, and rounded once.
    out : ndarray, optional
        Receives the result, without a copy; ``x`` itself makes it work in place.

    Returns
    -------
    array, shape of ``x``
        Natural logarithms of probabilities, never above 0, of the kind, device and dtype of ``x``. A row
        that holds NaN or +inf, or is -inf throughout, is NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object, text and floats of more than 64 bits, and an ``out`` of another dtype.
    InvalidInputError
        For a temperature that is not finite and above 0, a mask or an ``out`` of another shape.
    numpy.exceptions.AxisError
        For an axis that ``x`` does not have.

    Notes
    -----
    NumPy arrays: at most 1 ULP of the exact value in float32, confident rows included, 2 ULP in float64,
    0.51 ULP in float16 and bfloat16; the same bits for the same row everywhere, as for `softmax`.

    References
    ----------
    Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J.
    Numer. Anal. (2021).

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import log_softmax
    >>> log_softmax(np.array([0.0, -20.0]))
    array([-2.06115362e-09, -2.00000000e+01])
    """
    if type(x) is not ndarray and is_compiling():
        return log_softmax(x, axis, temperature=temperature, where=where, dtype=dtype, out=out)
    result = _kernels.log_softmax(x, axis, temperature, where, dtype, out, None)
    if result is not NotImplemented:
        return result
    if foreign_namespace(x) is None:
        call = check_activation(x, axis, where, temperature=temperature, dtype=dtype, out=out)
        result = run_by_temperature(_kernels.log_softmax, call)
        return result if out is None else out
    refuse_out(out)
    temperature = check_temperature(temperature, x, check_axis(axis, x.ndim))
    if dtype is None:
        result = evaluate_in_shell("log_softmax", x, axis, where, temperature=temperature)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(
        _generic.log_softmax, {"x": x}, axis=axis, where=where, dtype=dtype, temperature=temperature
    )
