"""The library's layers, losses and activations for Keras 3, on any of its backends."""

from .activations import log_softmax, logsumexp, softmax
from .layers import Softmax
from .losses import CrossEntropy

__all__ = ["CrossEntropy", "Softmax", "log_softmax", "logsumexp", "softmax"]
