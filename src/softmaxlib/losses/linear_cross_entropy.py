"""The loss of a linear layer with very many classes, in bounded memory."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import Array, FloatArray, as_numpy, foreign_namespace
from .._checks import (
    as_float_array,
    check_index_target,
    check_layer_shapes,
    check_memory_budget,
    check_reduction,
    check_softcap,
)
from .._frameworks import as_graph_node
from .._underflow import underflow_is_zero
from ..errors import UnsupportedTypeError
from . import _array_api_linear
from ._exact_sum import exact_sum
from ._loss_arguments import LossArguments, LossOptions
from ._row_losses import row_losses, row_losses_and_gradient

_CLASS_SHARE = 16  # divisor of the budget for the gradient of some classes, which should stay in the cache


class LinearLossAndGradient(NamedTuple):
    """The loss of a linear layer and its gradients.

    Attributes
    ----------
    loss : scalar or ndarray
        As `linear_cross_entropy` returns it.
    features_grad : ndarray (..., D)
        Gradient with respect to the features.
    weight_grad : ndarray (K, D)
        Gradient with respect to the weight.
    bias_grad : ndarray (K,) or None
        Gradient with respect to the bias, or None without a bias.
    """

    loss: Array
    features_grad: FloatArray
    weight_grad: FloatArray
    bias_grad: FloatArray | None


@dataclasses.dataclass(frozen=True)
class _Layer:
    features: FloatArray
    weight: FloatArray
    bias: FloatArray | None
    softcap: float | None
    label: npt.NDArray[np.int64]
    counted: npt.NDArray[np.int64] | None
    options: LossOptions
    row_shape: tuple[int, ...]
    block: int
    classes_at_once: int

    def rows(self) -> Iterator[Any]:
        """Yield the rows that count, block by block: slices, or indices if some rows are ignored."""
        count = self.label.size if self.counted is None else self.counted.size
        for start in range(0, count, self.block):
            stop = min(start + self.block, count)
            yield slice(start, stop) if self.counted is None else self.counted[start:stop]

    def denominator(self) -> float:
        if self.options.reduction != "mean":
            return 1.0
        return float(self.label.size if self.counted is None else self.counted.size)

    def reduce(self, losses: npt.NDArray[np.float64]) -> Array:
        dtype = self.features.dtype
        with np.errstate(invalid="ignore", over="ignore"):
            if self.options.reduction == "none":
                return losses.reshape(self.row_shape).astype(dtype)
            return np.divide(exact_sum(losses), self.denominator()).astype(dtype)[()]

    def arguments(self, logits: FloatArray, rows: Any) -> LossArguments:
        return LossArguments(
            logits, self.label[rows], None, None, None, None, self.options, (1,), logits.shape, logits.dtype
        )


@as_graph_node
@underflow_is_zero
def linear_cross_entropy(
    features: Array,
    weight: Array,
    target: Array,
    /,
    *,
    bias: Array | None = None,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    reduction: str = "mean",
    memory_budget: int = 64 * 2**20,
) -> Array:
    r"""Compute the cross-entropy of ``features @ weight.T + bias``, block by block.

    This is the head of a language model. Smaller is better. Only the logits of as many rows as
    `memory_budget` allows exist at a time. Every class of a row counts (nothing is sampled or filtered), so
    the result is that of `cross_entropy` of all logits.

    .. math:: z = \mathrm{cap} \tanh\big((W x + b) / \mathrm{cap}\big), \qquad
              \ell = \operatorname{cross\_entropy}(z, y)

    Parameters
    ----------
    features : array_like, shape (..., D)
        float32 or float64. Tensors and arrays of other libraries may also be in half precision. Integers are
        computed in float64, and then the whole layer is.
    weight : array_like, shape (K, D)
        One row per class, in the dtype of `features`.
    target : array_like of int, shape (...)
        Class indices.
    bias : array_like, shape (K,), optional
        Added to the logits.
    softcap : float > 0, optional
        Bounds the logits smoothly to (-softcap, softcap). No bound by default.
    label_smoothing, ignore_index, z_loss, reduction
        As in `cross_entropy`. Ignored rows are not multiplied either.
    memory_budget : int, default 64 MiB
        Bytes for the logits of a block of rows and their temporaries.

    Returns
    -------
    scalar or array
        The loss, with the array type and dtype of `features`. For "none", an array with the shape of
        `target`.

    Raises
    ------
    InvalidInputError
        If shapes do not match, a label is out of range (the message names its row), an option is outside its
        range, or `memory_budget` is too small for one row of logits.
    UnsupportedTypeError
        If a dtype is not float32 or float64, or if those of features and weight differ.

    Notes
    -----
    The accuracy is that of the matrix product (BLAS, in the dtype of `features`). The loss of these logits is
    as accurate as `cross_entropy`. Tensors go to `softmaxlib.torch.linear_cross_entropy` and JAX arrays to
    `softmaxlib.jax.linear_cross_entropy`, with their derivatives. Arrays of other libraries are multiplied by
    their library. Source of the blockwise idea: Wijmans et al., "Cut your losses in large-vocabulary language
    models" (2024).

    Examples
    --------
    >>> import numpy as np
    >>> import softmaxlib
    >>> features, weight = np.eye(2), np.array([[2.0, 0.0], [1.0, 3.0], [0.1, 0.0]])
    >>> round(float(softmaxlib.linear_cross_entropy(features, weight, [0, 1])), 14)
    0.2559764863494
    """
    options = LossOptions(
        -1, None, label_smoothing, ignore_index, 0.0, z_loss, None, check_reduction(reduction)
    )
    if foreign_namespace(features, weight, target) is not None:
        layer = _bring_layer(features, weight, target, bias, softcap, options, memory_budget)
        return _array_api_linear.linear_cross_entropy(layer)
    layer = _check_layer(features, weight, target, bias, softcap, options, memory_budget, gradient=False)
    losses = np.zeros(layer.label.size)
    buffer = np.empty((layer.block, layer.weight.shape[0]), layer.features.dtype)
    for rows in layer.rows():
        logits = _logits(layer, np.ascontiguousarray(layer.features[rows]), buffer)
        losses[rows] = row_losses(layer.arguments(logits, rows))
    return layer.reduce(losses)


@as_graph_node
@underflow_is_zero
def linear_cross_entropy_grad(
    features: Array,
    weight: Array,
    target: Array,
    /,
    *,
    bias: Array | None = None,
    softcap: float | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    z_loss: float = 0.0,
    reduction: str = "mean",
    memory_budget: int = 64 * 2**20,
) -> LinearLossAndGradient:
    """Compute the loss of `linear_cross_entropy` and its gradients, in one pass over the rows.

    Parameters
    ----------
    features, weight, target, bias, softcap, label_smoothing, ignore_index, z_loss, reduction, memory_budget
        As in `linear_cross_entropy`. With reduction "none", the gradients are those of the sum. With
        `softcap`, a block has half as many rows.

    Returns
    -------
    LinearLossAndGradient
        Named tuple (loss, features_grad, weight_grad, bias_grad). Ignored rows have gradient exactly 0 and do
        not affect others, even if they contain NaN.

    Raises
    ------
    InvalidInputError, UnsupportedTypeError
        As `linear_cross_entropy`.

    Notes
    -----
    Beyond inputs and results, the memory is `memory_budget` for any number of rows and classes. A weight that
    is contiguous neither by rows nor by columns is also copied.

    Examples
    --------
    >>> import numpy as np
    >>> import softmaxlib
    >>> features, weight = np.eye(2), np.array([[2.0, 0.0], [1.0, 3.0], [0.1, 0.0]])
    >>> result = softmaxlib.linear_cross_entropy_grad(features, weight, [0, 1])
    >>> result.weight_grad.round(3)
    array([[-0.17 ,  0.023],
           [ 0.121, -0.045],
           [ 0.049,  0.023]])
    """
    options = LossOptions(
        -1, None, label_smoothing, ignore_index, 0.0, z_loss, None, check_reduction(reduction)
    )
    if foreign_namespace(features, weight, target) is not None:
        layer = _bring_layer(features, weight, target, bias, softcap, options, memory_budget)
        return LinearLossAndGradient(*_array_api_linear.linear_cross_entropy_grad(layer))
    layer = _check_layer(features, weight, target, bias, softcap, options, memory_budget, gradient=True)
    with np.errstate(divide="ignore"):
        scale = float(np.divide(1.0, layer.denominator()))
    losses = np.zeros(layer.label.size)
    features_grad = np.zeros(layer.features.shape, layer.features.dtype)
    weight_grad = np.zeros(layer.weight.shape, layer.weight.dtype)
    bias_grad = None if layer.bias is None else np.zeros(layer.bias.shape)
    buffer = np.empty((layer.block, layer.weight.shape[0]), layer.features.dtype)
    product = np.empty((layer.classes_at_once, layer.weight.shape[1]), layer.weight.dtype)
    slopes = None if layer.softcap is None else np.empty_like(buffer)
    for rows in layer.rows():
        part = np.ascontiguousarray(layer.features[rows])
        logits = _logits(layer, part, buffer)
        slope = None if slopes is None else _softcap_slope(layer, logits, slopes[: logits.shape[0]])
        losses[rows] = row_losses_and_gradient(layer.arguments(logits, rows), scale, logits)
        if slope is not None:
            logits *= slope
        if isinstance(rows, slice):
            np.matmul(logits, layer.weight, out=features_grad[rows])
        else:
            features_grad[rows] = logits @ layer.weight
        _add_product(logits, part, weight_grad, product)
        if bias_grad is not None:
            bias_grad += np.ones(logits.shape[0], logits.dtype) @ logits
    return LinearLossAndGradient(
        layer.reduce(losses),
        features_grad.reshape(*layer.row_shape, layer.features.shape[1]),
        weight_grad,
        None if bias_grad is None else bias_grad.astype(layer.features.dtype),
    )


def _logits(layer: _Layer, features: FloatArray, buffer: FloatArray) -> FloatArray:
    logits = np.matmul(features, layer.weight.T, out=buffer[: features.shape[0]])
    if layer.bias is not None:
        logits += layer.bias
    if layer.softcap is not None:
        logits /= layer.softcap
        np.tanh(logits, out=logits)
        logits *= layer.softcap
    return logits


def _softcap_slope(layer: _Layer, logits: FloatArray, out: FloatArray) -> FloatArray:
    """Compute 1 - tanh^2."""
    assert layer.softcap is not None
    np.divide(logits, layer.softcap, out=out)
    np.multiply(out, out, out=out)
    return np.subtract(1, out, out=out)


def _add_product(
    gradient: FloatArray, features: FloatArray, weight_grad: FloatArray, product: FloatArray
) -> None:
    """Add gradient^T features to weight_grad, a slice of the classes at a time.

    SciPy's BLAS could add in place. But its pool of threads is not NumPy's, and each pool waits busily for
    work after a product. Using both in turns halves the speed.
    """
    for start in range(0, weight_grad.shape[0], product.shape[0]):
        classes = slice(start, start + product.shape[0])
        part = weight_grad[classes]
        part += np.matmul(gradient[:, classes].T, features, out=product[: part.shape[0]])


def _check_layer(
    features: Array,
    weight: Array,
    target: Array,
    bias: Array | None,
    softcap: float | None,
    options: LossOptions,
    memory_budget: int,
    *,
    gradient: bool,
) -> _Layer:
    rows, matrix = _check_operands(features, weight)
    if rows.dtype != matrix.dtype:
        raise UnsupportedTypeError(
            f"features and weight must have one dtype, got {rows.dtype} and {matrix.dtype}; "
            "convert the smaller"
        )
    offset = None if bias is None else _check_operand(bias, "bias").astype(rows.dtype)
    labels = as_numpy(target, "target")
    check_layer_shapes(rows.shape, matrix.shape, None if offset is None else offset.shape, labels.shape)
    softcap = check_softcap(softcap)
    label, counted = check_index_target(labels, matrix.shape[0], options.ignore_index)
    block, classes_at_once = _share_budget(
        matrix.shape, matrix.itemsize, memory_budget, twice=gradient and softcap is not None
    )
    return _Layer(
        rows.reshape(labels.size, rows.shape[-1]),
        matrix if matrix.flags.forc else np.ascontiguousarray(matrix),
        offset,
        softcap,
        label,
        None if counted is None or counted.all() else np.flatnonzero(counted),
        options,
        labels.shape,
        min(max(1, label.size), block),
        classes_at_once,
    )


def _bring_layer(
    features: Array,
    weight: Array,
    target: Array,
    bias: Array | None,
    softcap: float | None,
    options: LossOptions,
    memory_budget: int,
) -> _array_api_linear.Layer:
    softcap = check_softcap(softcap)
    layer = _array_api_linear.bring_layer(features, weight, bias, target, softcap, options)
    size = layer.namespace.finfo(layer.weight.dtype).bits // 8
    rows, _ = _share_budget(layer.weight.shape, size, memory_budget, twice=True)
    return layer._replace(rows_at_once=rows)


def _check_operands(features: Array, weight: Array) -> tuple[FloatArray, FloatArray]:
    """Return features and weight as floating arrays, both in float64 if one of them holds integers."""
    given = as_numpy(features, "features"), as_numpy(weight, "weight")
    rows, matrix = _check_operand(given[0], "features"), _check_operand(given[1], "weight")
    if any(array.dtype.kind in "iu" for array in given):
        return rows.astype(np.float64, copy=False), matrix.astype(np.float64, copy=False)
    return rows, matrix


def _check_operand(values: Array, name: str) -> FloatArray:
    array = as_float_array(values, name)
    if array.dtype.char not in "fd":
        raise UnsupportedTypeError(
            f"{name} must be float32 or float64, got {array.dtype}; convert with .astype(numpy.float32)"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _share_budget(
    shape: tuple[int, int], itemsize: int, memory_budget: int, *, twice: bool
) -> tuple[int, int]:
    """Return how many rows and classes fit in the budget at a time.

    A row needs its logits, and a copy of its features and their gradient. A class needs the gradient of its
    weights.
    """
    classes, columns = shape
    row, column = itemsize * ((2 if twice else 1) * classes + 2 * columns), itemsize * columns
    what = f"one row of {classes} classes and {columns} features"
    budget = check_memory_budget(memory_budget, row + column, what)
    at_once = min(classes, max(1, int(budget // (_CLASS_SHARE * max(1, column)))))
    return int((budget - at_once * column) // row), at_once
