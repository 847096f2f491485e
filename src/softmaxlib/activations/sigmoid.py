"""The two-class softmax."""

from .. import _generic
from .._arrays import Array
from .._frameworks import as_graph_node


@as_graph_node
def sigmoid(x: Array, /) -> Array:
    """Compute the probability of the first of two classes whose logits differ by ``x``.

    The two-class case of softmax: ``sigmoid(x)`` is ``softmax([x, 0])[0]``, elementwise::

        sigmoid(x) = 1 / (1 + exp(-x))

    Over more than two classes it is no distribution: each value answers its own yes-or-no question
    and a row of them sums to anything.

    Parameters
    ----------
    x : array_like, shape (...)
        Differences of two logits (log-odds, in nats). Integers are taken as float64.

    Returns
    -------
    array, shape (...)
        Probabilities in [0, 1], of the kind and dtype of ``x``. 0 at -inf, 1 at +inf (the limits),
        NaN at NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.

    Notes
    -----
    Accuracy on NumPy arrays: below 0.51 ULP in float16, bfloat16 and float32 (computed in float64,
    rounded once), at most 2 ULP in float64. It neither overflows nor loses the small probabilities:
    ``sigmoid(-700)`` is ``exp(-700)``.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import sigmoid
    >>> sigmoid(np.array([-2.0, 0.0, 2.0])).round(4)
    array([0.1192, 0.5   , 0.8808])
    """
    return _generic.evaluate_elementwise(_generic.sigmoid, {"x": x})


@as_graph_node
def log_sigmoid(x: Array, /) -> Array:
    """Compute the log-probability of the first of two classes whose logits differ by ``x``.

    ``log_softmax([x, 0])[0]``, elementwise; never above zero::

        log_sigmoid(x) = -log(1 + exp(-x))

    Parameters
    ----------
    x : array_like, shape (...)
        Differences of two logits (log-odds, in nats). Integers are taken as float64.

    Returns
    -------
    array, shape (...)
        Natural logarithms of probabilities, of the kind and dtype of ``x``. -inf at -inf, 0 at +inf,
        NaN at NaN.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.

    Notes
    -----
    Accuracy on NumPy arrays: below 0.51 ULP in float16, bfloat16 and float32, at most 2 ULP in
    float64, confident values included: ``log_sigmoid(20)`` is ``-2.06e-9``, not 0.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import log_sigmoid
    >>> log_sigmoid(np.array([-1000.0, 0.0, 20.0]))
    array([-1.00000000e+03, -6.93147181e-01, -2.06115362e-09])
    """
    return _generic.evaluate_elementwise(_generic.log_sigmoid, {"x": x})
