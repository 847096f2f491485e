"""Arrays of PyTorch and JAX in the processor's memory: the kernels take them as they lie."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ._arrays import Array, Axis, check_axis, check_where


def evaluate_in_memory(
    function: Callable[..., Array], x: Array, axis: Axis, where: Array | None, **options: float
) -> Array:
    """A function of this library, known by its name, of a tensor or a JAX array; or NotImplemented.

    A tensor on the CPU goes to the function of that name in `softmaxlib.torch`, which can be differentiated.
    A JAX array that is a value, not traced, is handed to ``function`` as a NumPy view.
    """
    if not all(isinstance(value, (int, float)) for value in options.values()):
        return NotImplemented  # an array that may want a derivative of its own
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch is not None and isinstance(x, getattr(torch, "Tensor", ())):
        if not x.is_cpu or x.ndim == 0:
            return NotImplemented
        from array_api_compat import array_namespace

        shell = importlib.import_module("softmaxlib.torch")
        mask = None if where is None else check_where(where, array_namespace(x), x)
        return getattr(shell, function.__name__)(x, check_axis(axis, x.ndim), where=mask, **_dims(options))
    if jax is not None and isinstance(x, getattr(jax, "Array", ())) and _is_value(jax, x, where):
        mask = None if where is None else np.asarray(where)
        return jax.device_put(function(np.asarray(x), axis, where=mask, **options), x.sharding)
    return NotImplemented


def _dims(options: dict[str, Any]) -> dict[str, Any]:
    """NumPy's names as PyTorch has them."""
    return {"keepdim" if name == "keepdims" else name: value for name, value in options.items()}


def _is_value(jax: Any, x: Array, where: Array | None) -> bool:
    if isinstance(x, jax.core.Tracer) or isinstance(where, jax.core.Tracer):
        return False
    devices = x.devices()
    on_cpu = len(devices) == 1 and next(iter(devices)).platform == "cpu"
    return on_cpu and bool(jax.numpy.issubdtype(x.dtype, jax.numpy.floating))
