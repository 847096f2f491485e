"""Derivatives of softmax and log_softmax, from the probabilities that they gave."""

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
    real_operands,
    take_masks,
)
from .._frameworks import as_graph_node


@as_graph_node
def softmax_jvp(p: Array, tangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute how the probabilities move when the logits move along ``tangent``.

    The product of softmax's Jacobian and a vector::

        (diag(p) - p p^T) t = p (t - sum(p t))

    The Jacobian is symmetric, so this is the vector-Jacobian product (backpropagation) as well. With a
    temperature T, divide the result by T.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``softmax``.
    tangent : array_like, shape (..., K)
        Direction in which the logits move, or, backwards, derivative of a loss by ``p``.
    axis : int, tuple of int or None
        The axis (or axes together) over which ``p`` sums to one.
    where : array_like of bool, optional
        Classes that took part, of a shape that broadcasts to that of ``p``.

    Returns
    -------
    array, shape (..., K)
        Of the kind and dtype of the arguments; each row sums to zero. A masked entry is exactly 0.

    Raises
    ------
    InvalidInputError
        When the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``p`` does not have.

    Notes
    -----
    The tangent is taken relative to that of the most probable class, so that the entry of a confident
    class is a sum over the others and keeps its digits, although ``1 - p`` has lost them; a constant tangent
    gives exactly 0. NumPy arrays in float32: at most 2 ULP from the exact value for the probabilities given,
    and the same bits for the same row everywhere, as for `softmax`.

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


@as_graph_node
def log_softmax_jvp(p: Array, tangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute how the log-probabilities move when the logits move along ``tangent``.

    The product of log_softmax's Jacobian and a vector::

        (I - 1 p^T) t = t - sum(p t)

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities (not their logarithms), as given by ``softmax`` of the same logits.
    tangent : array_like, shape (..., K)
        Direction in which the logits move.
    axis : int, tuple of int or None
        The axis (or axes together) over which ``p`` sums to one.
    where : array_like of bool, optional
        Classes that took part, of a shape that broadcasts to that of ``p``.

    Returns
    -------
    array, shape (..., K)
        Of the kind and dtype of the arguments. A masked entry is exactly 0.

    Raises
    ------
    InvalidInputError
        When the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``p`` does not have.

    Notes
    -----
    Confident classes keep their digits, and float32 the same accuracy, as in ``softmax_jvp``.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import log_softmax_jvp
    >>> log_softmax_jvp(np.array([0.5, 0.25, 0.25]), np.array([1.0, 0.0, 0.0]))
    array([ 0.5, -0.5, -0.5])
    """
    operands = {"p": p, "tangent": tangent}
    return _derivative(_kernels.log_softmax_jvp, _generic.log_softmax_jvp, operands, axis, where)


@as_graph_node
def log_softmax_vjp(p: Array, cotangent: Array, /, axis: Axis = -1, *, where: Array | None = None) -> Array:
    """Compute the derivative of a loss by the logits from that by the log-probabilities.

    The product of a vector and log_softmax's Jacobian (backpropagation)::

        g (I - 1 p^T) = g - p sum(g)

    With ``g = -onehot(label)`` it is the gradient of cross-entropy, ``p - onehot(label)``.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities (not their logarithms), as given by ``softmax`` of the same logits.
    cotangent : array_like, shape (..., K)
        Derivative of the loss by the log-probabilities.
    axis : int, tuple of int or None
        The axis (or axes together) over which ``p`` sums to one.
    where : array_like of bool, optional
        Classes that took part, of a shape that broadcasts to that of ``p``.

    Returns
    -------
    array, shape (..., K)
        Of the kind and dtype of the arguments; each row sums to zero. A masked entry is exactly 0.

    Raises
    ------
    InvalidInputError
        When the shapes differ.
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``p`` does not have.

    Notes
    -----
    For a class with more than half the probability, ``1 - p`` is taken as the sum of the others, so that the
    gradient of a confident row keeps its digits. NumPy arrays in float32: at most 2 ULP from the exact value
    for the probabilities given.

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
    """Compute the derivatives of each probability by each logit, ``diag(p) - p p^T``.

    Dense, K x K numbers per row: to look at, and for small K. To multiply by it, use ``softmax_jvp``.

    Parameters
    ----------
    p : array_like, shape (..., K)
        Probabilities, as given by ``softmax``.
    axis : int, tuple of int or None
        The axis (or axes together, in the order in which they lie in memory) of the classes.

    Returns
    -------
    array, shape (..., K, K)
        Entry ``[..., i, j]`` is the derivative of probability i by logit j, whatever the place of
        ``axis`` in ``p``. Symmetric, each row sums to zero. Of the kind and dtype of ``p``.

    Raises
    ------
    UnsupportedTypeError
        For bool, complex, object and text.
    numpy.exceptions.AxisError
        For an axis that ``p`` does not have.

    Notes
    -----
    The diagonal ``p (1 - p)`` is computed from the other entries of its row, and keeps its digits
    where ``p`` is next to one.

    Examples
    --------
    >>> import numpy as np
    >>> from softmaxlib import softmax_jacobian
    >>> softmax_jacobian(np.array([0.5, 0.5, 0.0]))
    array([[ 0.25, -0.25,  0.  ],
           [-0.25,  0.25,  0.  ],
           [ 0.  ,  0.  ,  0.  ]])
    """
    namespace, (p,), dtype = real_operands({"p": p})
    return cast(namespace, _generic.softmax_jacobian(namespace, p, axis=check_axis(axis, p.ndim)), dtype)


def _derivative(
    kernel: Callable[..., Any],
    definition: Callable[..., Array],
    operands: Mapping[str, Array],
    axis: Axis,
    where: Array | None,
) -> Array:
    """The kernel on NumPy arrays, in the wider of their dtypes; the definition on others."""
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
    """Tell whether the kernels take it, as it is or as float64; the definition takes or refuses the rest."""
    return dtype.kind in "iu" or dtype.char in "efd" or dtype.name == "bfloat16"


_softmax_jvp = partial(_generic.simplex_vjp, alpha=1.0)
