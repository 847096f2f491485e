"""Choice of the kernels for GPU tensors: Triton, or the definitions in tensor operations.

Triton is imported with the first tensor on a GPU, never before.
"""

import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

SWITCH = "SOFTMAXLIB_TRITON"
_COVERED = (
    "softmax, log_softmax, logsumexp, sparsemax, entmax of order 1.5, sampling, and cross_entropy and "
    "linear_cross_entropy of class indices (without smoothing, focal loss or mask) of float32, float16 and "
    "bfloat16"
)


def why_not() -> str | None:
    """Return the reason why the Triton kernels are not used, or None if they are."""
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    if importlib.util.find_spec("triton") is None:
        return "the package triton is missing; install softmaxlib[gpu]"
    return None


def description() -> str:
    """Describe how GPU tensors are computed, for `show_config`."""
    reason = why_not()
    if reason is not None:
        return f"definitions in tensor operations ({reason})"
    without = "" if torch.cuda.is_available() else " (no CUDA device here)"
    return f"{_COVERED} in Triton, the rest by its definition in tensor operations{without}"


@functools.cache
def kernels(module: str) -> Any:
    """Return a module of `_triton` that launches kernels, or None if they are not used."""
    return None if why_not() else importlib.import_module(f"softmaxlib.torch._triton.{module}")


def by_kernel(name: str) -> Callable[..., Any]:
    """Return the GPU body of an operator: the kernel of that name, or one that returns NotImplemented."""

    def body(input: Tensor, dim: Sequence[int] | None, option: Any, where: Tensor | None) -> Any:
        launch = kernels("launch")
        if launch is None or input.dtype not in launch.DTYPES or isinstance(option, Tensor):
            return NotImplemented
        dims = range(input.dim()) if dim is None else dim
        return getattr(launch, name)(input, dims, option, where)

    return body


def by_module(module: str, name: str) -> Callable[..., Any]:
    """Return the body of an operator for a GPU: a function of a module of `_triton`."""

    def body(*inputs: Any) -> Any:
        launches = kernels(module)
        return NotImplemented if launches is None else getattr(launches, name)(*inputs)

    return body
