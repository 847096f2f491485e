"""Functions for JAX, for ``jit``, ``vmap``, sharding and both modes of differentiation.

XLA evaluates the same definitions as for other libraries. The derivatives are written by hand, so that a
confident row keeps its digits and masked values never reach a gradient.
"""

from .._extras import require as _require

_require("jax", "softmaxlib.jax")

from .activations import entmax, log_softmax, logsumexp, softmax, sparsemax
from .linear_cross_entropy import linear_cross_entropy
from .losses import cross_entropy
from .sigmoid_losses import sigmoid_cross_entropy

__all__ = [
    "cross_entropy",
    "entmax",
    "linear_cross_entropy",
    "log_softmax",
    "logsumexp",
    "sigmoid_cross_entropy",
    "softmax",
    "sparsemax",
]
