"""Binary cross-entropy of arrays of other libraries: by the shell of the library, or by definition."""

from dataclasses import replace
from typing import Any

import numpy as np

from .. import _generic
from .._arrays import (
    Array,
    bring,
    cast,
    check_same_shape,
    check_where,
    foreign_namespace,
    known_values,
    real_operands,
)
from .._frameworks import adapter_of
from ._sigmoid_arguments import (
    SigmoidLossOptions,
    check_binary_target,
    check_binary_target_dtype,
    check_element_weight,
    check_element_weight_shape,
)


def sigmoid_cross_entropy(logits: Array, target: Array, options: SigmoidLossOptions) -> Array:
    """Compute the loss, with the derivatives of the library's shell."""
    logits, target, options = _check(logits, target, options)
    adapter = adapter_of(logits)
    if adapter is not None:
        return adapter.sigmoid_cross_entropy(logits, target, **vars(options))
    namespace, (wide,), dtype = real_operands({"logits": logits})
    with np.errstate(all="ignore"):
        loss = _generic.sigmoid_cross_entropy(namespace, wide, target, **vars(options))
    return cast(namespace, loss, dtype)


def sigmoid_cross_entropy_grad(
    logits: Array, target: Array, options: SigmoidLossOptions
) -> tuple[Array, Array]:
    """Compute the loss and its gradient with respect to the logits."""
    logits, target, options = _check(logits, target, options)
    namespace, (wide,), dtype = real_operands({"logits": logits})
    with np.errstate(all="ignore"):
        loss, gradient = _generic.sigmoid_cross_entropy_grad(namespace, wide, target, **vars(options))
    return cast(namespace, loss, dtype), cast(namespace, gradient, dtype)


def _check(
    logits: Array, target: Array, options: SigmoidLossOptions
) -> tuple[Array, Array, SigmoidLossOptions]:
    """Convert all arguments to the library of the first array that is not NumPy's, and check what is
    known."""
    like = logits if foreign_namespace(logits) is not None else target
    namespace: Any = foreign_namespace(like)
    logits, target = bring(namespace, logits, like, "logits"), bring(namespace, target, like, "target")
    check_binary_target_dtype(target.dtype)
    check_same_shape({"logits": logits, "target": target})
    shape = tuple(logits.shape)
    where = check_where(options.where, logits)
    known = known_values(target, "target")
    mask = None if where is None else known_values(where, "where")
    if known is not None and (where is None or mask is not None):
        check_binary_target(known, shape, mask)
    weights = {}
    for name in ("weight", "pos_weight"):
        weight = getattr(options, name)
        if weight is not None:
            values = known_values(weight, name)
            if values is None:
                check_element_weight_shape(tuple(weight.shape), shape, name)
            else:
                check_element_weight(values, shape, name)
            weights[name] = bring(namespace, weight, like, name)
    return logits, target, replace(options, where=where, **weights)
