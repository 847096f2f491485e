"""The function from logits to probabilities."""

import numpy.typing as npt

from .. import _generic, _kernels
from .._arrays import Array, Axis, check_axis, foreign_namespace, refuse_out
from .._checks import check_activation, check_foreign_dtype, check_sink
from .._frameworks import evaluate_in_shell, with_kernel
from ._temperature_rows import run_by_temperature
from ._usable_temperature import usable_temperature


@with_kernel(_kernels.softmax)
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
    """Compute the probabilities of the classes: numbers from 0 to 1 with sum 1.

    ::

        softmax(x)[i] = exp((x[i] - max(x)) / T) / sum over j of exp((x[j] - max(x)) / T)

    Adding the same number to every logit of a row changes nothing.

    Parameters
    ----------
    x : array_like, shape (..., K, ...)
        Logits: one score per class, of any size and sign. Integers are converted to float64.
    axis : int, tuple of int or None, default -1
        The axis of the classes. A tuple means one distribution over all its axes, and None over all elements.
    temperature : float or array_like, default 1.0
        Positive and finite. One number, or one per row, in the shape of ``x`` without ``axis`` or with length
        1 there. A large T flattens the distribution, a small one sharpens it. The limit 0 is `hardmax`.
    where : array_like of bool, broadcastable to the shape of ``x``, optional
        True for the elements that take part. The others get probability 0, whatever their value. A row with
        none gets 0 everywhere.
    dtype : dtype, optional
        Dtype of the result: float16, bfloat16, float32 or float64. The computation uses the wider of this
        dtype and that of ``x``, and rounds once.
    out : ndarray, optional
        Array for the result. Pass ``x`` itself to work in place.
    sink : array_like, broadcastable to the shape of ``x`` with 1 on ``axis``, optional
        An additional logit in the denominator that has no output. A row then sums to less than 1. The value 0
        gives the "off by one" softmax, and a learned value an attention sink.

    Returns
    -------
    array, shape of ``x``
        Probabilities, with the array type, device and dtype of ``x``. A row that contains NaN or +inf, or
        only -inf, becomes NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object, text and floats of more than 64 bits, and if ``out`` has another dtype.
    InvalidInputError
        If a temperature is not positive and finite, or if the mask or ``out`` has another shape.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Notes
    -----
    For NumPy arrays of any length, the error is below 1 ULP in float32, at most 2 ULP in float64, and 0.51
    ULP in float16 and bfloat16 (0.6 for subnormal results). A row has the same bits alone and in any batch,
    axis, stride or layout, with any number of threads and on any instruction set. CPU tensors of PyTorch, and
    JAX arrays on the CPU that are not traced, use the same kernels without a copy. Arrays of other libraries
    and devices are computed by the formula above in their own arithmetic.

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
    if sink is not None:
        sink = check_sink(sink, x, axis)
    if foreign_namespace(x) is None:
        call = check_activation(x, axis, where, temperature=temperature, dtype=dtype, out=out)
        result = run_by_temperature(_kernels.softmax, call, sink)
        return result if out is None else out
    refuse_out(out)
    dtype = check_foreign_dtype(dtype, x)
    temperature = usable_temperature(temperature, x, check_axis(axis, x.ndim))
    if dtype is None and sink is None:
        result = evaluate_in_shell("softmax", x, axis, where, temperature=temperature)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(
        _generic.softmax, {"x": x}, axis=axis, where=where, dtype=dtype, temperature=temperature, sink=sink
    )
