"""Cross-entropy of other libraries' arrays: by their own shell where there is one, else by definition."""

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
    known_values,
    real_operands,
)
from .._checks import (
    check_class_weight,
    check_class_weight_shape,
    check_classes,
    check_distribution,
    check_index_target,
    check_label_dtype,
    check_target_shape,
    row_shape,
)
from .._frameworks import adapter_of
from ._loss_arguments import LossOptions


class _Arguments(NamedTuple):
    """Arrays of one library, the classes along one axis of them, which the options name."""

    namespace: ModuleType
    logits: Array
    target: Array
    options: LossOptions
    axes: tuple[int, ...]


def cross_entropy(logits: Array, target: Array, options: LossOptions) -> Array:
    """The loss, with the derivatives that the library's shell knows."""
    arguments = _check(logits, target, options)
    adapter = adapter_of(arguments.logits)
    if adapter is not None:
        return adapter.cross_entropy(arguments.logits, arguments.target, **vars(arguments.options))
    namespace, (wide,), dtype = real_operands({"logits": arguments.logits})
    with np.errstate(all="ignore"):
        loss = _generic.cross_entropy(namespace, wide, arguments.target, **vars(arguments.options))
    return cast(namespace, loss, dtype)


def cross_entropy_grad(logits: Array, target: Array, options: LossOptions) -> tuple[Array, Array]:
    """The loss and its gradient with respect to the logits."""
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
    """All arguments in the library of the first array that isn't NumPy's, and checked as far as is known."""
    like = logits if foreign_namespace(logits) is not None else target
    namespace: Any = foreign_namespace(like)
    logits, target = bring(namespace, logits, like, "logits"), bring(namespace, target, like, "target")
    check_real_dtype(logits.dtype, "logits")
    shape = tuple(logits.shape)
    axes = check_axis(options.axis, logits.ndim)
    classes = math.prod(shape[position] for position in axes)
    check_classes(classes, shape, options.axis)
    by_index = check_target_shape(tuple(target.shape), shape, row_shape(shape, axes), options.ignore_index)
    given = target
    if by_index:
        check_label_dtype(target.dtype, "target")
        target = _generic.widest_labels(namespace, target)
    else:
        check_real_dtype(target.dtype, "target")
    where = check_where(options.where, logits)
    weight = None if options.weight is None else bring(namespace, options.weight, like, "weight")
    _check_values(given, options, classes, axes, by_index)
    if len(axes) == 1:
        return _Arguments(
            namespace, logits, target, replace(options, axis=axes[0], where=where, weight=weight), axes
        )
    logits, target, where = (
        array if array is None or array.ndim < len(shape) else _generic.to_rows(namespace, array, axes)
        for array in (logits, target, where)
    )
    options = replace(options, axis=len(shape) - len(axes), where=where, weight=weight)
    return _Arguments(namespace, logits, target, options, axes)


def _check_values(
    target: Array, options: LossOptions, classes: int, axes: tuple[int, ...], by_index: bool
) -> None:
    """Refuse wrong labels, probabilities and weights, where a framework doesn't hide them while tracing."""
    check_class_weight_shape(options.weight, classes)
    weight, label = known_values(options.weight, "weight"), known_values(target, "target")
    if options.weight is not None and weight is not None:
        check_class_weight(weight, classes)
    if label is not None and by_index:
        check_index_target(label, classes, options.ignore_index)
    elif label is not None:
        check_distribution(label, axes, classes, target.dtype)
