"""Arrays of other libraries: to the functions that know them best, and NumPy's results back in their kind.

The one place in the house that asks a framework's shell for something.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import numpy as np

from ._arrays import Array, Axis, bring, check_axis, check_where, foreign_namespace

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

NODES: list[Callable[..., Any]] = []  # the functions that torch.compile takes into its graph as they are


def as_graph_node(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let ``torch.compile`` take a function into its graph as one node, without reading its Python.

    What the node does with tensors is traced below it, so that it is differentiated and exported too.
    """

    @functools.wraps(function)
    def node(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if is_compiling():
            return node(*args, **kwargs)
        return function(*args, **kwargs)

    NODES.append(node)
    return node


def as_fast_graph_node(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The same for a function that asks `is_compiling` itself, so that NumPy arrays pay for nothing."""
    NODES.append(function)
    return function


def is_compiling() -> bool:
    """Whether ``torch.compile`` reads this Python; it then knows the functions that are nodes."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.compiler.is_dynamo_compiling():
        return False
    from .torch import _graph_nodes  # noqa: F401  # pyright: ignore[reportUnusedImport]

    return True


def evaluate_in_shell(
    function: Callable[..., Array], x: Array, axis: Axis, where: Array | None, **options: Any
) -> Array:
    """A function of this library, known by its name, of a tensor or a JAX array; or NotImplemented.

    A tensor goes to the function of that name in `softmaxlib.torch`, a JAX array to that in `softmaxlib.jax`:
    there they have derivatives written by hand. A JAX array that is a value in the processor's memory, not
    traced, is handed to ``function`` as a NumPy view, to run on the kernels.
    """
    shell = shell_of(x)
    if shell is None or x.ndim == 0:
        return NotImplemented
    from array_api_compat import array_namespace

    axes = check_axis(axis, x.ndim)
    mask = check_where(where, array_namespace(x), x)
    if not shell.__name__.endswith("torch"):
        if _is_value(x, where, *options.values()):
            host = None if where is None else np.asarray(where)
            return as_the_array(function(np.asarray(x), axis=axis, where=host, **options), x)
        return getattr(shell, function.__name__)(x, axis=axes, where=mask, **options)
    if not isinstance(options.get("temperature", 1.0), (int, float)):
        return NotImplemented  # it may want a derivative of its own
    named = {"keepdim" if name == "keepdims" else name: value for name, value in options.items()}
    return getattr(shell, function.__name__)(x, dim=axes, where=mask, **named)


def shell_of(x: Array) -> ModuleType | None:
    """softmaxlib.torch for a tensor, softmaxlib.jax for an array of JAX, traced or not; else None."""
    for name, kind in (("torch", "Tensor"), ("jax", "Array")):
        framework = sys.modules.get(name)
        if framework is not None and isinstance(x, getattr(framework, kind, ())):
            return importlib.import_module(f"softmaxlib.{name}")
    return None


def in_kind_of(like: Array, result: Result) -> Result:
    """What NumPy computed, its arrays in the library and on the device of what was given.

    Parameters
    ----------
    like : array
        What the user gave. For NumPy's arrays, lists and tables the result stays as it is.
    result : array, scalar of NumPy, or (named) tuple of them
        Anything else in a tuple, such as None or a Python float, stays as it is.
    """
    namespace = foreign_namespace(like)
    if namespace is None:
        return result
    if isinstance(result, tuple):
        kind: Any = type(result)
        parts = [in_kind_of(like, part) for part in result]
        return kind(*parts) if hasattr(result, "_fields") else kind(parts)
    if isinstance(result, (np.ndarray, np.generic)) and result.dtype != object:  # names: no library has them
        values: Any = (
            result if result.flags.writeable else np.array(result)
        )  # torch wants no read-only memory
        return bring(namespace, values, like)
    return result


def as_the_array(result: Any, like: Any) -> Any:
    """A NumPy result in the place of a JAX array, of its dtype."""
    (device,) = like.devices()
    return sys.modules["jax"].device_put(result, like.sharding if result.ndim == like.ndim else device)


def _is_value(x: Array, *others: Any) -> bool:
    """Whether a JAX array, and what belongs to it, are numbers in the processor's memory."""
    jax = sys.modules["jax"]
    if any(isinstance(one, jax.core.Tracer) for one in (x, *others)):
        return False
    devices = x.devices()
    on_cpu = len(devices) == 1 and next(iter(devices)).platform == "cpu"
    return on_cpu and bool(jax.numpy.issubdtype(x.dtype, jax.numpy.floating))
