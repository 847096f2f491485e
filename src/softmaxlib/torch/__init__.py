"""The library's functions and layers for PyTorch: differentiable, compilable, on any device.

CPU tensors run on the compiled kernels, on their own memory; other devices evaluate the same definitions
in tensor operations.
"""

from .activations import log_softmax, logsumexp, softmax
from .generation import ChainLogitsProcessor, DrawLogitsProcessor, Sample, sample
from .losses import cross_entropy
from .modules import CrossEntropyLoss, LogSoftmax, Softmax

__all__ = [
    "ChainLogitsProcessor",
    "CrossEntropyLoss",
    "DrawLogitsProcessor",
    "LogSoftmax",
    "Sample",
    "Softmax",
    "cross_entropy",
    "log_softmax",
    "logsumexp",
    "sample",
    "softmax",
]
