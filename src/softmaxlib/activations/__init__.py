"""Functions from logits to probabilities."""

from .derivatives import log_softmax_jvp, log_softmax_vjp, softmax_jacobian, softmax_jvp
from .entmax import entmax, entmax_vjp
from .gumbel_softmax import gumbel_softmax, gumbel_softmax_vjp
from .hardmax import hardmax
from .log_softmax import log_softmax
from .logsumexp import logsumexp
from .normalize import normalize
from .sigmoid import log_sigmoid, sigmoid
from .softmax import softmax
from .sparsemax import sparsemax, sparsemax_vjp

__all__ = [
    "entmax",
    "entmax_vjp",
    "gumbel_softmax",
    "gumbel_softmax_vjp",
    "hardmax",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_jvp",
    "log_softmax_vjp",
    "logsumexp",
    "normalize",
    "sigmoid",
    "softmax",
    "softmax_jacobian",
    "softmax_jvp",
    "sparsemax",
    "sparsemax_vjp",
]
