"""softmaxlib takes a model's logits to probabilities, losses, calibration, decisions and the next word."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from . import errors
from ._configuration import show_config
from ._version import __version__ as __version__
from .activations import (
    entmax,
    entmax_vjp,
    gumbel_softmax,
    gumbel_softmax_vjp,
    hardmax,
    log_sigmoid,
    log_softmax,
    log_softmax_jvp,
    log_softmax_vjp,
    logsumexp,
    normalize,
    sigmoid,
    softmax,
    softmax_jacobian,
    softmax_jvp,
    sparsemax,
    sparsemax_vjp,
)
from .losses import (
    LogSumExp,
    cross_entropy,
    cross_entropy_grad,
    linear_cross_entropy,
    linear_cross_entropy_grad,
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_grad,
)
from .policy import MultilabelPolicy, Policy
from .report import evaluate
from .transforms import adjust_prior, adjust_prior_vjp, margin, margin_vjp, softcap, softcap_vjp

_PACKAGES = (
    "calibration",
    "decisions",
    "files",
    "jax",
    "keras",
    "metrics",
    "policy",
    "report",
    "sampling",
    "sklearn",
    "torch",
)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a package of softmaxlib when it is first used, such as ``softmaxlib.sampling``."""
        if name in _PACKAGES:
            return _import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


del TYPE_CHECKING

__all__ = [
    "LogSumExp",
    "MultilabelPolicy",
    "Policy",
    "adjust_prior",
    "adjust_prior_vjp",
    "cross_entropy",
    "cross_entropy_grad",
    "entmax",
    "entmax_vjp",
    "errors",
    "evaluate",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "hardmax",
    "linear_cross_entropy",
    "linear_cross_entropy_grad",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logsumexp",
    "margin",
    "margin_vjp",
    "normalize",
    "show_config",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_grad",
    "softcap",
    "softcap_vjp",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "sparsemax",
    "sparsemax_vjp",
]
