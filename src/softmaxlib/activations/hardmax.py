"""All the probability on the largest logit."""

from .. import _generic
from .._arrays import Array, Axis
from .._frameworks import as_graph_node


@as_graph_node
def hardmax(x: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute 1 at the largest entry of each row, the first of equals, and 0 elsewhere.

    The limit of ``softmax(x, temperature=T)`` as T goes to 0, where the largest entry is unique. It
    says which class, not how sure: 5.1 against 5.0 and 5.1 against 0 give the same answer. Its
    gradient is zero wherever it exists, so nothing can be trained through it.

    Parameters
    ----------
    x : array_like, shape (..., K)
        Logits. Integers are taken as float64.
    axis : int, tuple of int or None
        The axis (or axes together) along which the classes lie; None takes all elements as one row.
    where : array_like of bool, optional
        Classes that take part, of a shape that broadcasts to that of ``x``.

    Returns
    -------
    array, shape (..., K)
        One-hot rows, of the kind and dtype of ``x``. A row with NaN, or -inf throughout, is NaN; a row
        that is masked throughout is zero.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``x`` does not have.

    Notes
    -----
    Exact. ONNX defines ``Hardmax`` alike.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import hardmax
    >>> hardmax(np.array([2.0, 5.1, 5.1]))
    array([0., 1., 0.])
    """
    return _generic.evaluate(_generic.hardmax, {"x": x}, axis=axis, where=where)
