"""softmaxlib takes a model's logits to probabilities, losses, calibration, decisions and the next word."""

from . import errors
from .activations import log_softmax, logsumexp, softmax

__all__ = ["errors", "log_softmax", "logsumexp", "softmax"]
