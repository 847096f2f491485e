"""The library's functions for JAX: they can be jitted, batched, sharded and differentiated in both modes.

XLA evaluates the same definitions that every other library gets; the derivatives are given by hand, so
that a confident row keeps its digits and nothing under a mask reaches a gradient.
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
