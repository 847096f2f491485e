"""Logits to probabilities."""

from .hardmax import hardmax
from .log_softmax import log_softmax
from .logsumexp import logsumexp
from .normalize import normalize
from .sigmoid import log_sigmoid, sigmoid
from .softmax import softmax

__all__ = ["hardmax", "log_sigmoid", "log_softmax", "logsumexp", "normalize", "sigmoid", "softmax"]
