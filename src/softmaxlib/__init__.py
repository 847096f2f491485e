"""softmaxlib takes a model's logits to probabilities, losses, calibration, decisions and the next word."""

from . import errors
from .activations import hardmax, log_sigmoid, log_softmax, logsumexp, normalize, sigmoid, softmax
from .losses import cross_entropy, cross_entropy_grad

__all__ = [
    "cross_entropy",
    "cross_entropy_grad",
    "errors",
    "hardmax",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "normalize",
    "sigmoid",
    "softmax",
]
