"""softmaxlib takes a model's logits to probabilities, losses, calibration, decisions and the next word."""

from . import errors
from .activations import hardmax, log_sigmoid, log_softmax, logsumexp, normalize, sigmoid, softmax

__all__ = [
    "errors",
    "hardmax",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "normalize",
    "sigmoid",
    "softmax",
]
