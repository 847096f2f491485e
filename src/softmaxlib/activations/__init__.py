"""Logits to probabilities."""

from .log_softmax import log_softmax
from .logsumexp import logsumexp
from .softmax import softmax

__all__ = ["log_softmax", "logsumexp", "softmax"]
