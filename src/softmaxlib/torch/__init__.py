"""The library's functions and layers for PyTorch: differentiable, compilable, on any device.

CPU tensors run on the compiled kernels, on their own memory; other devices evaluate the same definitions
in tensor operations.
"""

from .activations import log_softmax, logsumexp, softmax
from .modules import LogSoftmax, Softmax

__all__ = ["LogSoftmax", "Softmax", "log_softmax", "logsumexp", "softmax"]
