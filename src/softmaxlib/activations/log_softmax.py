"""The function from logits to log-probabilities."""

import numpy.typing as npt

from .. import _generic, _kernels
from .._arrays import Array, Axis, check_axis, foreign_namespace, refuse_out
from .._checks import check_activation, check_foreign_dtype
from .._frameworks import evaluate_in_shell, with_kernel
from ._temperature_rows import run_by_temperature
from ._usable_temperature import usable_temperature


@with_kernel(_kernels.log_softmax)
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
    """Compute the logarithm of softmax without losing digits in confident rows.

    ::

        log_softmax(x)[i] = (x[i] - max(x)) / T - log1p(sum over the others j of exp((x[j] - max(x)) / T))

    The maximum is left out of the sum. So a confident class gives -2e-9 where ``log(softmax(x))`` gives 0.

    Parameters
    ----------
    x : array_like, shape (..., K, ...)
        Logits: one score per class, of any size and sign. Integers are converted to float64.
    axis : int, tuple of int or None, default -1
        The axis of the classes. A tuple means one distribution over all its axes, and None over all elements.
    temperature : float or array_like, default 1.0
        Positive and finite. One number, or one per row, in the shape of ``x`` without ``axis`` or with length
        1 there. A large T flattens the distribution, a small one sharpens it.
    where : array_like of bool, broadcastable to the shape of ``x``, optional
        True for the elements that take part. The others become -inf, whatever their value.
    dtype : dtype, optional
        Dtype of the result: float16, bfloat16, float32 or float64. The computation uses the wider of this
        dtype and that of ``x``, and rounds once.
    out : ndarray, optional
        Array for the result. Pass ``x`` itself to work in place.

    Returns
    -------
    array, shape of ``x``
        Natural logarithms of probabilities, at most 0, with the array type, device and dtype of ``x``. A row
        that contains NaN or +inf, or only -inf, becomes NaN.

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
    For NumPy arrays the error is at most 1 ULP in float32 (also in confident rows), 2 ULP in float64, and
    0.51 ULP in float16 and bfloat16. The same row has the same bits everywhere, as for `softmax`.

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
    if foreign_namespace(x) is None:
        call = check_activation(x, axis, where, temperature=temperature, dtype=dtype, out=out)
        result = run_by_temperature(_kernels.log_softmax, call)
        return result if out is None else out
    refuse_out(out)
    dtype = check_foreign_dtype(dtype, x)
    temperature = usable_temperature(temperature, x, check_axis(axis, x.ndim))
    if dtype is None:
        result = evaluate_in_shell("log_softmax", x, axis, where, temperature=temperature)
        if result is not NotImplemented:
            return result
    return _generic.evaluate(
        _generic.log_softmax, {"x": x}, axis=axis, where=where, dtype=dtype, temperature=temperature
    )
