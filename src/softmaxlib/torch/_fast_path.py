"""Choice of the fast path for plain CPU tensors, past PyTorch's dispatcher: compiled, or in Python.

Both have the same functions, which return NotImplemented for calls that only the operators can handle. The
compiled module reads PyTorch's internal structures. So its name contains the release it was compiled for, and
it is loaded only with this release.
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
    """The functions of a fast path, and its description."""

    softmax: Callable[..., Any]
    log_softmax: Callable[..., Any]
    logsumexp: Callable[..., Any]
    cross_entropy: Callable[..., Any]
    compiled: bool
    description: str


def choose(release: str, folder: Path) -> FastPath:
    """Return the compiled module for this release of PyTorch, or else the one in Python with the reason."""
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
    """Return the name of the module compiled for a release of PyTorch; the build uses the same name."""
    return PREFIX + re.sub(r"\W", "_", release)


def in_python(reason: str) -> FastPath:
    """Return the fast path in Python, with the reason for using it."""
    functions = (_eager.softmax, _eager.log_softmax, _eager.logsumexp, _eager_loss.cross_entropy)
    return FastPath(*functions, False, f"in Python ({reason})")


def _why_not(release: str, folder: Path) -> str:
    found = sorted(path.name.split(".")[0] for path in folder.glob(f"{PREFIX}*"))
    wanted = f"no {module_name(release)}"
    return f"{wanted}, found {', '.join(found)}" if found else f"{wanted}: built without PyTorch"


fast_path = choose(torch.__version__, Path(__file__).parent)


def show_config() -> None:
    """Print which kernels are used on the CPU and on a GPU, and if they are not the fastest ones, why.

    The compiled module is built if PyTorch is installed when softmaxlib is built, and it is used only with
    that release of PyTorch. Without it, Python computes the same results, with some microseconds more per
    call. ``SOFTMAXLIB_TORCH_COMPILED=0`` in the environment switches the compiled module off.

    Examples
    --------
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.show_config()  # doctest: +ELLIPSIS
    PyTorch ...: CPU tensors ...
    CUDA tensors: ...
    """
    print(f"PyTorch {torch.__version__}: CPU tensors {fast_path.description}")
    print(f"CUDA tensors: {_gpu.description()}")
