"""Every function's definition in array-API terms.

The readable specification, the oracle in tests, and what runs for arrays of any other library. `xp`
is an array-API namespace; axes are checked by the caller.
"""

from types import ModuleType
from typing import Any

Array = Any
Axis = int | tuple[int, ...] | None


def softmax(
    xp: ModuleType, x: Array, /, *, axis: Axis, temperature: float = 1.0, where: Array | None = None
) -> Array:
    """exp((x - max) / T) / sum of the same."""
    shifted = _shifted(xp, x, axis, temperature, where)
    weight = xp.exp(shifted)
    if where is not None:
        weight = xp.where(where, weight, 0.0)
    total = xp.sum(weight, axis=axis, keepdims=True)
    if where is not None:
        total = xp.where(xp.any(where, axis=axis, keepdims=True), total, 1.0)
    return weight / total


def log_softmax(
    xp: ModuleType, x: Array, /, *, axis: Axis, temperature: float = 1.0, where: Array | None = None
) -> Array:
    """(x - max) / T - log(sum of exp((x - max) / T))."""
    shifted = _shifted(xp, x, axis, temperature, where)
    weight = xp.exp(shifted)
    if where is None:
        return shifted - xp.log(xp.sum(weight, axis=axis, keepdims=True))
    total = xp.sum(xp.where(where, weight, 0.0), axis=axis, keepdims=True)
    total = xp.where(xp.any(where, axis=axis, keepdims=True), total, 1.0)
    return xp.where(where, shifted - xp.log(total), -xp.inf)


def logsumexp(
    xp: ModuleType, x: Array, /, *, axis: Axis, where: Array | None = None, keepdims: bool = False
) -> Array:
    """max + log(sum of exp(x - max))."""
    if where is not None:
        x = xp.where(where, x, -xp.inf)
    largest = xp.max(x, axis=axis, keepdims=True)
    finite = xp.where(xp.isfinite(largest), largest, 0.0)
    total = xp.sum(xp.exp(x - finite), axis=axis, keepdims=True)
    result = xp.where(total == 0, -xp.inf, xp.log(xp.where(total == 0, 1.0, total))) + finite
    if keepdims:
        return result
    axes = tuple(range(x.ndim)) if axis is None else axis
    return xp.squeeze(result, axis=axes)


def _shifted(xp: ModuleType, x: Array, axis: Axis, temperature: float, where: Array | None) -> Array:
    if where is not None:
        x = xp.where(where, x, -xp.inf)
    largest = xp.max(x, axis=axis, keepdims=True)
    if where is not None:  # a whole row masked: nothing to subtract, and no NaN from inf - inf
        largest = xp.where(xp.any(where, axis=axis, keepdims=True), largest, 0.0)
        x = xp.where(where, x, largest)
    return (x - largest) / temperature
