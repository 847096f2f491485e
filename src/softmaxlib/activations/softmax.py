"""Logits to probabilities."""

import numpy.typing as npt
from numpy import ndarray

from .. import _generic, _kernels
from .._arrays import Array, Axis, check_axis, foreign_namespace, refuse_out
from .._checks import check_activation, check_sink, check_temperature
from .._frameworks import as_fast_graph_node, evaluate_in_shell, is_compiling
from ._temperature_rows import run_by_temperature


@as_fast_graph_node
def softmax(
    x: Array,
    /,
    axis: Axis = -1,
    *,
    temperature: Array = 1.0,
    where: Array | None = None,
    dtype: npt.DTypeLike | None = None,
    out: Array | None = None,
    sink: Array | None = None,
) -> Array:
    """Compute the probabilities of the classes: positive, with sum 1, in the order of the logits.

    ::

        softmax(x)[i] = exp((x[i] - max(x)) / T) / sum over j of exp((x[j] - max(x)) / T)

    Adding the same number to every logit of a row changes nothing.

    Parameters
    ----------
    x : array_like, shape (..., K, ...)
        Logits: unbounded scores in nats. Integers are computed and returned in float64.
    axis : int, tuple of int or None, default -1
        The axis of the classes. A tuple makes one distribution over all of its axes, None over all
        elements.
    temperature : float or array_like, default 1.0
        T > 0 and finite: one number, or one per row, in the shape of ``x`` without ``axis`` or with 1 there.
        Large flattens the distribution, small sharpens it; the limit 0 is `hardmax`.
    where : array_like of bool, broadcastable to the shape of ``x``, optional
        True where an element takes part. The others get probability 0, whatever they hold; a row
        without any gets 0 everywhere.
    dtype : dtype, optional
        Of the result: float16, bfloat16, float32 or float64. Computed in the wider of it and the
        input's, and rounded once.
    out : ndarray, optional
        Receives the result, without a copy; ``x`` itself makes it work in place.
    sink : array_like, broadcastable to the shape of ``x`` with 1 on ``axis``, optional
        A further logit in the denominator that takes its share and has no output, so that a row sums
        to less than 1: 0 gives the "off by one" softmax, a learned value an attention sink.

    Returns
    -------
    array, shape of ``x``
        Probabilities, of the kind, device and dtype of ``x``. A row that holds NaN or +inf, or is
        -inf throughout, is NaN.

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
    NumPy arrays: below 1 ULP of the exact result at any length in float32, at most 2 ULP in float64,
    0.51 ULP in float16 and bfloat16 (0.6 where the result is subnormal). One row gives the same bits
    alone or in any batch, axis, stride or layout, on any number of threads and any instruction set.
    Tensors of PyTorch on the CPU, and arrays of JAX there that are not being traced, run on the same kernels
    without a copy; arrays of other libraries and devices by the definition above in their own arithmetic.

    References
    ----------
    Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", IMA J.
    Numer. Anal. (2021). Milakov & Gimelshein, "Online normalizer calculation for softmax" (2018).
    Xiao et al., "Efficient streaming language models with attention sinks" (2023), for the sink.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import softmax
    >>> softmax(np.array([2.0, 1.0, 0.1]))
    array([0.65900114, 0.24243297, 0.09856589])
    >>> softmax(np.array([[1000.0, 1001.0, 1002.0]])).sum(axis=-1)
    array([1.])
    """
    if type(x) is not ndarray and is_compiling():
        return softmax(x, axis, temperature=temperature, where=where, dtype=dtype, out=out, sink=sink)
    if sink is not None:
        sink = check_sink(sink, x, axis)
    result = _kernels.softmax(x, axis, temperature, where, dtype, out, sink)
    if result is not NotImplemented:
        return result
    if foreign_namespace(x) is None:
        call = check_activation(x, axis, where, temperature=temperature, dtype=dtype, out=out)
        result = run_by_temperature(_kernels.softmax, call, sink)
        return result if out is None else out
    refuse_out(out)
    temperature = check_temperature(temperature, x, check_axis(axis, x.ndim))
    if dtype is None and sink is None:
        result = evaluate_in_shell("softmax", x, axis, where, temperature=temperature)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(
        _generic.softmax, {"x": x}, axis=axis, where=where, dtype=dtype, temperature=temperature, sink=sink
    )
