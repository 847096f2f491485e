"""Functions and layers for PyTorch: differentiable, compilable, on any device.

CPU tensors use the compiled kernels without a copy. Other devices evaluate the same definitions in tensor
operations.
"""

from .._extras import require as _require

_require("torch", "softmaxlib.torch")

from ._fast_path import show_config
from .activations import log_softmax, logsumexp, softmax
from .calibrated_head import CalibratedHead
from .generation import ChainLogitsProcessor, DrawLogitsProcessor, Sample, sample
from .heads import LinearCrossEntropyLoss, MarginHead
from .linear_cross_entropy import linear_cross_entropy
from .losses import cross_entropy
from .modules import CrossEntropyLoss, Entmax, LogSoftmax, Softmax, Sparsemax
from .sigmoid_losses import SigmoidCrossEntropyLoss, sigmoid_cross_entropy
from .simplex import entmax, sparsemax

__all__ = [
    "CalibratedHead",
    "ChainLogitsProcessor",
    "CrossEntropyLoss",
    "DrawLogitsProcessor",
    "Entmax",
    "LinearCrossEntropyLoss",
    "LogSoftmax",
    "MarginHead",
    "Sample",
    "SigmoidCrossEntropyLoss",
    "Softmax",
    "Sparsemax",
    "cross_entropy",
    "entmax",
    "linear_cross_entropy",
    "log_softmax",
    "logsumexp",
    "sample",
    "show_config",
    "sigmoid_cross_entropy",
    "softmax",
    "sparsemax",
]
