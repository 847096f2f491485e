"""Which fast path past PyTorch's dispatcher plain CPU tensors take: the compiled module, or that in Python.

Both offer the same functions, which return NotImplemented for what only the operators do. The compiled module
reads PyTorch's own structures, so it carries the release it was compiled for in its name, and one that was
compiled for another is never loaded.
"""

import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from . import _activation_operators, _eager, _eager_loss, _gpu, _loss_operators

PREFIX = "_compiled_for_"
SWITCH = "SOFTMAXLIB_TORCH_COMPILED"


class FastPath(NamedTuple):
    """The functions, and what they are."""

    softmax: Callable[..., Any]
    log_softmax: Callable[..., Any]
    logsumexp: Callable[..., Any]
    cross_entropy: Callable[..., Any]
    compiled: bool
    description: str


def choose(release: str, folder: Path) -> FastPath:
    """Return the compiled module for this release of PyTorch, or else the way in Python and why."""
    if os.environ.get(SWITCH) == "0":
        return in_python(f"{SWITCH}=0")
    try:
        module = importlib.import_module(f"{__package__}.{module_name(release)}")
    except ModuleNotFoundError:
        return in_python(_why_not(release, folder))
    module.use_derivatives(
        _activation_operators.softmax_gradient,
        _activation_operators.log_softmax_gradient,
        _activation_operators.logsumexp_gradient,
        _loss_operators.cross_entropy_vjp,
    )
    functions = (module.softmax, module.log_softmax, module.logsumexp, module.cross_entropy)
    return FastPath(*functions, True, f"compiled for PyTorch {release}")


def module_name(release: str) -> str:
    """Return the name of the module compiled for a release of PyTorch, as the build has it too."""
    return PREFIX + re.sub(r"\W", "_", release)


def in_python(reason: str) -> FastPath:
    """Return the way in Python, and why it is taken."""
    functions = (_eager.softmax, _eager.log_softmax, _eager.logsumexp, _eager_loss.cross_entropy)
    return FastPath(*functions, False, f"in Python ({reason})")


def _why_not(release: str, folder: Path) -> str:
    found = sorted(path.name.split(".")[0] for path in folder.glob(f"{PREFIX}*"))
    wanted = f"no {module_name(release)}"
    return f"{wanted}, found {', '.join(found)}" if found else f"{wanted}: built without PyTorch"


fast_path = choose(torch.__version__, Path(__file__).parent)


def show_config() -> None:
    """Print which kernels tensors take on the CPU and on a GPU, and if not the fastest ones, why.

    The compiled module is built with softmaxlib where PyTorch is there to be compiled for, and is used by
    that release of PyTorch alone; without it the same results come by way of Python, some microseconds later
    a call. ``SOFTMAXLIB_TORCH_COMPILED=0`` in the environment switches it off.

    Examples
    --------
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.show_config()  # doctest: +ELLIPSIS
    PyTorch ...: CPU tensors ...
    CUDA tensors: ...
    """
    print(f"PyTorch {torch.__version__}: CPU tensors {fast_path.description}")
    print(f"CUDA tensors: {_gpu.description()}")
