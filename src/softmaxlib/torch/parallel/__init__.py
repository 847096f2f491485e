"""Losses of logits whose classes (a large vocabulary) are sharded over processes."""

from .cross_entropy import cross_entropy
from .linear_cross_entropy import linear_cross_entropy
from .log_probability_and_entropy import LogProbabilityAndEntropy, log_probability_and_entropy

__all__ = [
    "LogProbabilityAndEntropy",
    "cross_entropy",
    "linear_cross_entropy",
    "log_probability_and_entropy",
]
