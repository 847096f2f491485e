"""One-hot rows that mark the largest logit."""

from .. import _generic
from .._arrays import Array, Axis
from .._frameworks import as_graph_node


@as_graph_node
def hardmax(x: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Mark the largest entry of each row with 1, and all others with 0.

    If several entries are the largest, the first is marked. If the largest entry is unique, the result is the
    limit of ``softmax(x, temperature=T)`` as T goes to 0. It names the class, but not the confidence: 5.1
    against 5.0 and 5.1 against 0 give the same result. Its gradient is 0 wherever it exists, so it can't be
    used in training.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are converted to float64.
    axis : int, tuple of int or None
        The axis or axes of the classes. None means all elements as one row.
    where : array_like of bool, optional
        True for the classes that take part. Broadcasts to the shape of ``x``.

    Returns
    -------
    array, shape (..., K)
        One-hot rows, with the array type and dtype of ``x``. A row that contains NaN, or only -inf, becomes
        NaN. A fully masked row becomes 0.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``x`` does not have the axis.

    Notes
    -----
    The result is exact. ONNX defines ``Hardmax`` in the same way.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import hardmax
    >>> hardmax(np.array([2.0, 5.1, 5.1]))
    array([0., 1., 0.])
    """
    return _generic.evaluate(_generic.hardmax, {"x": x}, axis=axis, where=where)
