"""The functions of this shell under the signatures of the plain ones, as `_frameworks.Adapter` has them.

An array that is a value in the processor's memory, not traced, is handed to the plain function as a NumPy
view, to run on the kernels.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import activations as plain_functions
from . import activations
from .linear_cross_entropy import linear_cross_entropy
from .losses import cross_entropy
from .sigmoid_losses import sigmoid_cross_entropy

__all__ = [
    "cross_entropy",
    "draw",
    "entmax",
    "linear_cross_entropy",
    "log_softmax",
    "logsumexp",
    "sigmoid_cross_entropy",
    "softmax",
]

Axes = tuple[int, ...]


def softmax(x: jax.Array, /, axis: Axes, *, temperature: Any, where: jax.Array | None) -> jax.Array:
    """Compute `softmaxlib.softmax` of a JAX array."""
    return _evaluate(
        plain_functions.softmax, activations.softmax, x, axis=axis, temperature=temperature, where=where
    )


def log_softmax(x: jax.Array, /, axis: Axes, *, temperature: Any, where: jax.Array | None) -> jax.Array:
    """Compute `softmaxlib.log_softmax` of a JAX array."""
    return _evaluate(
        plain_functions.log_softmax,
        activations.log_softmax,
        x,
        axis=axis,
        temperature=temperature,
        where=where,
    )


def logsumexp(x: jax.Array, /, axis: Axes, *, where: jax.Array | None, keepdims: bool) -> jax.Array:
    """Compute `softmaxlib.logsumexp` of a JAX array."""
    return _evaluate(
        plain_functions.logsumexp, activations.logsumexp, x, axis=axis, where=where, keepdims=keepdims
    )


def entmax(x: jax.Array, /, alpha: Any, axis: Axes, *, where: jax.Array | None) -> jax.Array:
    """Compute `softmaxlib.entmax` of a JAX array."""
    return _evaluate(plain_functions.entmax, activations.entmax, x, alpha=alpha, axis=axis, where=where)


def _evaluate(
    on_kernels: Callable[..., Any], traceable: Callable[..., jax.Array], x: jax.Array, **options: Any
) -> jax.Array:
    where = options["where"]
    if not _is_value(x, *options.values()):
        return traceable(x, **options)
    options["where"] = None if where is None else np.asarray(where)
    result = on_kernels(np.asarray(x), **options)
    (device,) = x.devices()
    return jax.device_put(result, x.sharding if result.ndim == x.ndim else device)


def _is_value(x: jax.Array, *others: Any) -> bool:
    """Return True if an array and its arguments are floating numbers in the CPU's memory."""
    if any(isinstance(one, Tracer) for one in (x, *others)):
        return False
    devices = x.devices()
    on_cpu = len(devices) == 1 and next(iter(devices)).platform == "cpu"
    return on_cpu and bool(jnp.issubdtype(x.dtype, jnp.floating))


def draw(stages: Any, logits: jax.Array, /, **data: Any) -> Any:
    """Leave the draw to the compiled functions."""
    del stages, logits, data
    return NotImplemented
