"""The two-class softmax."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _generic, _kernels
from .._arrays import Array, as_numpy, check_real_dtype, foreign_namespace
from .._frameworks import with_kernel


@with_kernel(_kernels.sigmoid)
def sigmoid(x: Array, /) -> Array:
    """Compute the probability of the first of two classes whose logits differ by ``x``.

    This is softmax of two classes: ``sigmoid(x)`` is ``softmax([x, 0])[0]``, elementwise::

        sigmoid(x) = 1 / (1 + exp(-x))

    For more than two classes it gives no distribution: each value is the probability of its own yes-or-no
    question, and a row can have any sum.

    Parameters
    ----------
    x : array_like, shape (...)
        Differences of two logits (log-odds, by the natural logarithm). Integers are converted to float64.

    Returns
    -------
    array, shape (...)
        Probabilities in [0, 1], with the array type and dtype of ``x``. The result is 0 at -inf, 1 at +inf,
        and NaN at NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text input.

    Notes
    -----
    For NumPy arrays the error is below 0.51 ULP in float16 and bfloat16, below 1 ULP in float32, and at most
    1 ULP in float64. Nothing overflows, and small probabilities are kept: ``sigmoid(-700)`` is ``exp(-700)``.
    A compiled kernel computes them: a number has the same bits in any array, with any number of threads and
    on any instruction set.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import sigmoid
    >>> sigmoid(np.array([-2.0, 0.0, 2.0])).round(4)
    array([0.1192, 0.5   , 0.8808])
    """
    return _evaluate(_kernels.sigmoid, _generic.sigmoid, x)


@with_kernel(_kernels.log_sigmoid)
def log_sigmoid(x: Array, /) -> Array:
    """Compute the log-probability of the first of two classes whose logits differ by ``x``.

    The same as ``log_softmax([x, 0])[0]``, elementwise. It is at most 0::

        log_sigmoid(x) = -log(1 + exp(-x))

    Parameters
    ----------
    x : array_like, shape (...)
        Differences of two logits (log-odds, by the natural logarithm). Integers are converted to float64.

    Returns
    -------
    array, shape (...)
        Natural logarithms of probabilities, with the array type and dtype of ``x``. The result is -inf at
        -inf, 0 at +inf, and NaN at NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text input.

    Notes
    -----
    For NumPy arrays the error is below 0.51 ULP in float16, bfloat16 and float32, and at most 1 ULP in
    float64. This includes confident values: ``log_sigmoid(20)`` is ``-2.06e-9``, not 0. The kernel and its
    bits are those of `sigmoid`.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import log_sigmoid
    >>> log_sigmoid(np.array([-1000.0, 0.0, 20.0]))
    array([-1.00000000e+03, -6.93147181e-01, -2.06115362e-09])
    """
    return _evaluate(_kernels.log_sigmoid, _generic.log_sigmoid, x)


def _evaluate(kernel: Callable[..., Any], definition: Callable[..., Array], x: Array) -> Array:
    """Run the kernel on what NumPy holds in up to 64 bits, and the definition on others."""
    if foreign_namespace(x) is None:
        array = as_numpy(x, "x")
        check_real_dtype(array.dtype, "x")
        result = kernel(np.asarray(array))
        if result is not NotImplemented:
            return result
    return _generic.evaluate_elementwise(definition, {"x": x})
