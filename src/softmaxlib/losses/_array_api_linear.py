"""The loss of a linear layer for arrays of other libraries, block by block."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .._arrays import Array, bring, cast, foreign_namespace, real_operands
from .._checks import check_layer_shapes
from .._frameworks import Adapter, adapter_of
from ._array_api import cross_entropy, cross_entropy_grad
from ._loss_arguments import LossOptions

_OPTIONS = ("label_smoothing", "ignore_index", "z_loss", "reduction")


class Layer(NamedTuple):
    """A linear layer and its inputs, with the rows along one axis, in the dtype of the computation."""

    namespace: ModuleType
    features: Array
    weight: Array
    bias: Array | None
    target: Array
    softcap: float | None
    options: LossOptions
    rows_at_once: int
    dtype: Any
    shape: tuple[int, ...]

    @property
    def counted(self) -> Array:
        """Return which rows are not ignored."""
        if self.options.ignore_index is None:
            return self.namespace.ones_like(self.target, dtype=self.namespace.bool)
        return self.target != self.options.ignore_index

    def blocks(self) -> Iterator[tuple[Array, Array, Array]]:
        """Yield blocks of features (0 in ignored rows) with their logits and targets.

        Of a program that is exported for any number of rows, all rows are one block.
        """
        rows, at_once = self.features.shape[0], self.rows_at_once
        parts = [slice(None)]
        if isinstance(rows, int):
            parts = [slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once)]
        for part in parts:
            features = self.namespace.where(self.counted[part, None], self.features[part, :], 0.0)
            logits = features @ self.weight.T
            logits = logits if self.bias is None else logits + self.bias[None, :]
            if self.softcap is not None:
                logits = self.softcap * self.namespace.tanh(logits / self.softcap)
            yield features, logits, self.target[part]

    def evaluate_in_shell(self, adapter: Adapter) -> Array:
        """Compute the loss by the library's shell, which differentiates it in bounded memory."""
        options = {name: getattr(self.options, name) for name in _OPTIONS}
        return adapter.linear_cross_entropy(
            self.namespace.reshape(self.features, (*self.shape, self.features.shape[1])),
            self.weight,
            self.namespace.reshape(self.target, self.shape),
            bias=self.bias,
            softcap=self.softcap,
            memory_budget=self.rows_at_once * self.weight.shape[0] * self.weight.itemsize,
            **options,
        )

    def reduce(self, losses: list[Array]) -> Array:
        """Reduce the row losses of all blocks to the loss."""
        xp = self.namespace
        loss = xp.concat(losses) if losses else xp.sum(self.features, axis=1)
        if self.options.reduction == "none":
            return cast(xp, xp.reshape(loss, self.shape), self.dtype)
        return cast(xp, xp.sum(loss) / self.denominator(), self.dtype)

    def denominator(self) -> Array:
        """Return the divisor of the sum of the losses and of their gradients."""
        xp = self.namespace
        counted = xp.sum(xp.astype(self.counted, self.features.dtype))
        return counted if self.options.reduction == "mean" else xp.ones_like(counted)


@np.errstate(all="ignore")  # some libraries compute with NumPy
def linear_cross_entropy(layer: Layer) -> Array:
    """Compute the loss. It is differentiable if the library's arrays are."""
    adapter = adapter_of(layer.features)
    if adapter is not None:
        return cast(layer.namespace, layer.evaluate_in_shell(adapter), layer.dtype)
    each = replace(layer.options, reduction="none")
    return layer.reduce([cross_entropy(logits, target, each) for _, logits, target in layer.blocks()])


@np.errstate(all="ignore")  # some libraries compute with NumPy
def linear_cross_entropy_grad(layer: Layer) -> tuple[Array, Array, Array, Array | None]:
    """Compute the loss and its gradients with respect to features, weight and bias."""
    xp, each = layer.namespace, replace(layer.options, reduction="none")
    losses, of_features = [], [xp.zeros_like(layer.features[:0, :])]
    of_weight = xp.zeros_like(layer.weight)
    of_bias = xp.sum(of_weight, axis=1)
    denominator = layer.denominator()
    divisor = xp.where(denominator == 0, 1.0, denominator)  # without a row that counts, all gradients are 0
    for features, logits, target in layer.blocks():
        loss, gradient = cross_entropy_grad(logits, target, each)
        gradient = gradient / divisor
        if layer.softcap is not None:
            gradient = gradient * (1 - (logits / layer.softcap) ** 2)
        losses.append(loss)
        of_features.append(gradient @ layer.weight)
        of_weight = of_weight + gradient.T @ features
        of_bias = of_bias + xp.sum(gradient, axis=0)
    return (
        layer.reduce(losses),
        cast(xp, xp.reshape(xp.concat(of_features), (*layer.shape, layer.features.shape[1])), layer.dtype),
        cast(xp, of_weight, layer.dtype),
        None if layer.bias is None else cast(xp, of_bias, layer.dtype),
    )


def bring_layer(
    features: Array,
    weight: Array,
    bias: Array | None,
    target: Array,
    softcap: float | None,
    options: LossOptions,
) -> Layer:
    """Check the layer, and convert it to the library of the first array that is not NumPy's.

    All rows are in one block.
    """
    like = next(array for array in (features, weight, target) if foreign_namespace(array) is not None)
    namespace: Any = foreign_namespace(like)
    brought = [bring(namespace, array, like) for array in (features, weight)]
    _, (rows, matrix), dtype = real_operands({"features": brought[0], "weight": brought[1]})
    offset = None
    if bias is not None:
        offset = cast(namespace, real_operands({"bias": bring(namespace, bias, like)}).arrays[0], rows.dtype)
    label = bring(namespace, target, like)
    shape, of_bias = tuple(label.shape), None if offset is None else tuple(offset.shape)
    check_layer_shapes(tuple(rows.shape), tuple(matrix.shape), of_bias, shape)
    label = namespace.reshape(label, (-1,))
    rows = namespace.reshape(rows, (label.shape[0], rows.shape[-1]))
    return Layer(namespace, rows, matrix, offset, label, softcap, options, rows.shape[0], dtype, shape)
