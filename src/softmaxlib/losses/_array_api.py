"""Cross-entropy of arrays of other libraries: by the shell of the library if there is one, or by
definition."""

import math
from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from .. import _generic
from .._arrays import (
    Array,
    bring,
    cast,
    check_axis,
    check_real_dtype,
    check_where,
    foreign_namespace,
    real_operands,
)
from .._checks import check_known_class_weight, check_known_target, check_loss_shapes
from .._frameworks import adapter_of
from ._loss_arguments import LossOptions


class _Arguments(NamedTuple):
    """Arrays of one library, with the classes along the axis that the options name."""

    namespace: ModuleType
    logits: Array
    target: Array
    options: LossOptions
    axes: tuple[int, ...]


def cross_entropy(logits: Array, target: Array, options: LossOptions) -> Array:
    """Compute the loss, with the derivatives of the library's shell."""
    arguments = _check(logits, target, options)
    adapter = adapter_of(arguments.logits)
    if adapter is not None:
        return adapter.cross_entropy(arguments.logits, arguments.target, **vars(arguments.options))
    namespace, (wide,), dtype = real_operands({"logits": arguments.logits})
    with np.errstate(all="ignore"):
        loss = _generic.cross_entropy(namespace, wide, arguments.target, **vars(arguments.options))
    return cast(namespace, loss, dtype)


def cross_entropy_grad(logits: Array, target: Array, options: LossOptions) -> tuple[Array, Array]:
    """Compute the loss and its gradient with respect to the logits."""
    arguments = _check(logits, target, options)
    namespace, (wide,), dtype = real_operands({"logits": arguments.logits})
    with np.errstate(all="ignore"):
        loss, gradient = _generic.cross_entropy_grad(
            namespace, wide, arguments.target, **vars(arguments.options)
        )
    if len(arguments.axes) > 1:
        gradient = _generic.from_rows(namespace, gradient, logits, arguments.axes)
    return cast(namespace, loss, dtype), cast(namespace, gradient, dtype)


def _check(logits: Array, target: Array, options: LossOptions) -> _Arguments:
    """Convert all arguments to the library of the first array that is not NumPy's, and check what is
    known."""
    like = logits if foreign_namespace(logits) is not None else target
    namespace: Any = foreign_namespace(like)
    logits, target = bring(namespace, logits, like, "logits"), bring(namespace, target, like, "target")
    check_real_dtype(logits.dtype, "logits")
    shape = tuple(logits.shape)
    axes = check_axis(options.axis, logits.ndim)
    by_index = check_loss_shapes(
        shape, tuple(target.shape), target.dtype, options.class_weight, axes, options.ignore_index
    )
    where = check_where(options.where, logits)
    weight = options.class_weight
    weight = None if weight is None else bring(namespace, weight, like, "class_weight")
    classes = math.prod(shape[position] for position in axes)
    check_known_class_weight(options.class_weight, classes)
    check_known_target(target, axes, classes, by_index, options.ignore_index)
    if by_index:
        target = _generic.widest_labels(namespace, target)
    if len(axes) == 1:
        return _Arguments(
            namespace, logits, target, replace(options, axis=axes[0], where=where, class_weight=weight), axes
        )
    logits, target, where = (
        array if array is None or array.ndim < len(shape) else _generic.to_rows(namespace, array, axes)
        for array in (logits, target, where)
    )
    options = replace(options, axis=len(shape) - len(axes), where=where, class_weight=weight)
    return _Arguments(namespace, logits, target, options, axes)
