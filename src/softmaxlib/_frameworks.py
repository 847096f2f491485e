"""Arrays of frameworks: which shell evaluates them, and NumPy's results as arrays of the same library.

This is the only file of the house that knows the shells.
"""

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from . import _kernels
from ._arrays import Array, Axis, bring, check_axis, check_where, foreign_namespace
from ._renamed import other_names, refuse_other_names

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

NODES: list[Callable[..., Any]] = []  # the functions that torch.compile takes into its graph as they are


def as_graph_node(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let ``torch.compile`` put a function into its graph as one node, without tracing its Python.

    What the node does with tensors is traced below it, so that it is differentiated and exported too.
    """

    others = other_names(function)

    @functools.wraps(function)
    def node(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if is_compiling():
            return node(*args, **kwargs)
        if kwargs:
            refuse_other_names(function, others, args, kwargs)
        return function(*args, **kwargs)

    NODES.append(node)
    return node


def between_graphs(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let ``torch.compile`` call a function as it is, after one graph and before the next.

    For functions that compute with the numbers of their tensors in NumPy.
    """

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        torch = sys.modules.get("torch")
        if torch is not None and torch.compiler.is_dynamo_compiling():
            return torch.compiler.disable(function)(*args, **kwargs)
        return function(*args, **kwargs)

    return call


def with_kernel(
    kernel: Callable[..., Any],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Decorate a function that has a kernel: a call goes to the kernel first, without entering Python.

    Parameters
    ----------
    kernel : callable
        Takes the parameters of the function, in their order and all without names. It returns NotImplemented
        for what it does not take, wrong arguments too, and the function is called then.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        code = function.__code__
        positional, count = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[:count]
        given, by_name = function.__defaults__ or (), function.__kwdefaults__ or {}
        required = positional - len(given)
        defaults = (None,) * required + given
        defaults += tuple(by_name[name] for name in names[positional:])
        node = as_graph_node(function)
        made = _kernels.KernelFunction(kernel, node, names, defaults, required, positional)
        return functools.update_wrapper(made, node)

    return decorate


def is_compiling() -> bool:
    """Return True while ``torch.compile`` traces; the functions are then known as nodes."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.compiler.is_dynamo_compiling():
        return False
    from .torch import _graph_nodes  # noqa: F401  # pyright: ignore[reportUnusedImport]

    return True


class Adapter(Protocol):
    """The functions of a framework's shell, under the signatures of the plain functions.

    Arrays are of the shell's framework. Axes are numbers of `check_axis`, a mask has the shape of the
    logits, and all other arguments are checked.
    """

    def softmax(
        self, x: Array, /, axis: tuple[int, ...], *, temperature: Any, where: Array | None
    ) -> Array: ...

    def log_softmax(
        self, x: Array, /, axis: tuple[int, ...], *, temperature: Any, where: Array | None
    ) -> Array: ...

    def logsumexp(
        self, x: Array, /, axis: tuple[int, ...], *, where: Array | None, keepdims: bool
    ) -> Array: ...

    def entmax(self, x: Array, /, alpha: Any, axis: tuple[int, ...], *, where: Array | None) -> Array: ...

    def cross_entropy(self, logits: Array, target: Array, /, *, axis: int, **options: Any) -> Array: ...

    def sigmoid_cross_entropy(self, logits: Array, target: Array, /, **options: Any) -> Array: ...

    def linear_cross_entropy(
        self, features: Array, weight: Array, target: Array, /, **options: Any
    ) -> Array: ...

    def draw(self, stages: Any, logits: Array, /, **data: Any) -> Any: ...


def adapter_of(x: Array) -> Adapter | None:
    """Return the adapter of softmaxlib.torch for a tensor, or of softmaxlib.jax for a JAX array.

    Keras has no arrays of its own: its tensors are those of its backend.
    """
    for name, kind in (("torch", "Tensor"), ("jax", "Array")):
        framework = sys.modules.get(name)
        if framework is not None and isinstance(x, getattr(framework, kind, ())):
            return cast(Adapter, importlib.import_module(f"{__package__}.{name}._adapter"))
    return None


def evaluate_in_shell(name: str, x: Array, axis: Axis, where: Array | None, **options: Any) -> Array:
    """Evaluate the function of this name by the shell of the array, or return NotImplemented."""
    adapter = adapter_of(x)
    if adapter is None or x.ndim == 0:
        return NotImplemented
    mask = check_where(where, x)
    return getattr(adapter, name)(x, axis=check_axis(axis, x.ndim), where=mask, **options)


def draw_in_shell(stages: Any, logits: Array, **data: Any) -> Any:
    """Draw tokens by the shell of the array, or return NotImplemented for the compiled functions."""
    adapter = adapter_of(logits)
    return NotImplemented if adapter is None else adapter.draw(stages, logits, **data)


def in_kind_of(like: Array, result: Result) -> Result:
    """Convert NumPy results to the library and device of the input.

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
        # torch wants no read-only memory
        values: Any = result if result.flags.writeable else np.array(result)
        return bring(namespace, values, like)
    return result
