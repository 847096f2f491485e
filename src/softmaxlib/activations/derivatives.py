"""Derivatives of softmax and log_softmax, computed from the probabilities."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .. import _generic, _kernels
from .._arrays import (
    Array,
    Axis,
    as_numpy,
    cast,
    check_axis,
    check_same_shape,
    check_where,
    foreign_namespace,
    known_values,
    real_operands,
    take_masks,
)
from .._frameworks import as_graph_node, with_kernel
from ..errors import InvalidInputError

_LARGEST = 1.01  # a probability, with the rounding of half precision


@with_kernel(_kernels.softmax_jvp)
def softmax_jvp(p: Array, tangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Multiply the Jacobian of ``softmax`` by a vector.

    The change of the probabilities when the logits change along ``tangent``::

        (diag(p) - p p^T) t = p (t - sum(p t))

    The Jacobian is symmetric, so this is also the vector-Jacobian product (backpropagation). With a
    temperature T, divide the result by T.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``softmax``.
    tangent : array_like, shape (..., K)
        Direction in which the logits change. For backpropagation, the gradient of the loss with respect to
        ``p``.
    axis : int, tuple of int or None
        The axis or axes over which ``p`` sums to 1.
    where : array_like of bool, optional
        True for the classes that took part. Broadcasts to the shape of ``p``.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as the arguments. Each row sums to 0. Masked entries are exactly 0.

    Raises
    ------
    InvalidInputError
        If the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``p`` does not have the axis.

    Notes
    -----
    The tangent of the most probable class is subtracted first. The entry of a confident class is then a sum
    over the others, and keeps the digits that ``1 - p`` has lost. A constant tangent gives exactly 0. For
    NumPy arrays in float32 the error is at most 2 ULP, given the probabilities. The same row has the same
    bits everywhere, as for `softmax`.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import softmax, softmax_jvp
    >>> p = softmax(np.array([2.0, 1.0, 0.1]))
    >>> softmax_jvp(p, np.array([1.0, 0.0, 0.0])).round(4)
    array([ 0.2247, -0.1598, -0.065 ])
    """
    operands = {"p": p, "tangent": tangent}
    return _derivative(_kernels.softmax_jvp, _softmax_jvp, operands, axis, where)


@with_kernel(_kernels.log_softmax_jvp)
def log_softmax_jvp(p: Array, tangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Multiply the Jacobian of ``log_softmax`` by a vector.

    The change of the log-probabilities when the logits change along ``tangent``::

        (I - 1 p^T) t = t - sum(p t)

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities (not their logarithms), as given by ``softmax`` of the same logits.
    tangent : array_like, shape (..., K)
        Direction in which the logits change.
    axis : int, tuple of int or None
        The axis or axes over which ``p`` sums to 1.
    where : array_like of bool, optional
        True for the classes that took part. Broadcasts to the shape of ``p``.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as the arguments. Masked entries are exactly 0.

    Raises
    ------
    InvalidInputError
        If the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``p`` does not have the axis.

    Notes
    -----
    Confident classes keep their digits, and the accuracy in float32 is the same, as for ``softmax_jvp``.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import log_softmax_jvp
    >>> log_softmax_jvp(np.array([0.5, 0.25, 0.25]), np.array([1.0, 0.0, 0.0]))
    array([ 0.5, -0.5, -0.5])
    """
    operands = {"p": p, "tangent": tangent}
    return _derivative(_kernels.log_softmax_jvp, _generic.log_softmax_jvp, operands, axis, where)


@with_kernel(_kernels.log_softmax_vjp)
def log_softmax_vjp(p: Array, cotangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Multiply a vector by the Jacobian of ``log_softmax``: backpropagation to the logits.

    The gradient of a loss with respect to the logits, from that with respect to the log-probabilities::

        g (I - 1 p^T) = g - p sum(g)

    With ``g = -onehot(label)`` the result is the gradient of cross-entropy, ``p - onehot(label)``.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities (not their logarithms), as given by ``softmax`` of the same logits.
    cotangent : array_like, shape (..., K)
        Gradient of the loss with respect to the log-probabilities.
    axis : int, tuple of int or None
        The axis or axes over which ``p`` sums to 1.
    where : array_like of bool, optional
        True for the classes that took part. Broadcasts to the shape of ``p``.

    Returns
    -------
    array, shape (..., K)
        Same array type and dtype as the arguments. Each row sums to 0. Masked entries are exactly 0.

    Raises
    ------
    InvalidInputError
        If the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``p`` does not have the axis.

    Notes
    -----
    For a class with more than half the probability, ``1 - p`` is computed as the sum of the others. So the
    gradient of a confident row keeps its digits. For NumPy arrays in float32 the error is at most 2 ULP,
    given the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import log_softmax_vjp
    >>> log_softmax_vjp(np.array([0.5, 0.25, 0.25]), np.array([0.0, -1.0, 0.0]))
    array([ 0.5 , -0.75,  0.25])
    """
    operands = {"p": p, "cotangent": cotangent}
    return _derivative(_kernels.log_softmax_vjp, _generic.log_softmax_vjp, operands, axis, where)


@as_graph_node
def softmax_jacobian(p: Array, /, axis: Axis = -1) -> Array:
    """Compute the Jacobian of ``softmax``, ``diag(p) - p p^T``.

    The matrix is dense, with K x K numbers per row. Use it to look at, and for small K. To multiply by it,
    use ``softmax_jvp``.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``softmax``.
    axis : int, tuple of int or None
        The axis or axes of the classes. Several axes are joined in memory order.

    Returns
    -------
    array, shape (..., K, K)
        Entry ``[..., i, j]`` is the derivative of probability i with respect to logit j, for any ``axis``.
        The matrix is symmetric, and each row sums to 0. Same array type and dtype as ``p``.

    Raises
    ------
    InvalidInputError
        If a number is not between 0 and 1, such as a logit. (Values that a framework traces are not checked.)
    UnsupportedTypeError
        For bool, complex, object and text input.
    numpy.exceptions.AxisError
        If ``p`` does not have the axis.

    Notes
    -----
    The diagonal ``p (1 - p)`` is computed from the other entries of its row, so it keeps its digits where
    ``p`` is close to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import softmax_jacobian
    >>> softmax_jacobian(np.array([0.5, 0.5, 0.0]))
    array([[ 0.25, -0.25,  0.  ],
           [-0.25,  0.25,  0.  ],
           [ 0.  ,  0.  ,  0.  ]])
    """
    _check_probabilities(p)
    namespace, (p,), dtype = real_operands({"p": p})
    axes = check_axis(axis, p.ndim)
    with np.errstate(all="ignore"):
        return cast(namespace, _generic.softmax_jacobian(namespace, p, axis=axes), dtype)


def _check_probabilities(p: Array) -> None:
    """Refuse logits, as far as the values are known. NaN passes, and 1 that rounding made a little more."""
    values = known_values(p, "p")
    if values is None or values.dtype.kind not in "iuf":
        return
    wrong = (values < 0) | (values > _LARGEST)
    if wrong.any():
        raise InvalidInputError(
            f"p must hold probabilities, between 0 and 1, got {values[wrong][0]}; if these are logits, pass "
            "softmax(logits)"
        )


def _derivative(
    kernel: Callable[..., Any],
    definition: Callable[..., Array],
    operands: Mapping[str, Array],
    axis: Axis,
    where: Array | None,
) -> Array:
    """Run the kernel on NumPy arrays, in the wider of their dtypes, and the definition on others."""
    if foreign_namespace(*operands.values()) is None:
        operands, where = take_masks(operands, where)
        arrays = {name: as_numpy(values, name) for name, values in operands.items()}
        if all(_is_real(array.dtype) for array in arrays.values()):
            check_same_shape(arrays)
            dtype = np.result_type(
                *(np.float64 if array.dtype.kind in "iu" else array.dtype for array in arrays.values())
            )
            p, tangent = (array.astype(dtype, copy=False) for array in arrays.values())
            return kernel(p, tangent, check_axis(axis, p.ndim), check_where(where, p), None)
    return _generic.evaluate(definition, operands, axis=axis, where=where)


def _is_real(dtype: np.dtype[Any]) -> bool:
    """Tell whether the kernels accept the dtype, directly or as float64. The definition checks the others."""
    return dtype.kind in "iu" or dtype.char in "efd" or dtype.name == "bfloat16"


_softmax_jvp = partial(_generic.simplex_vjp, alpha=1.0)
