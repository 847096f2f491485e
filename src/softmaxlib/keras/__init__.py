"""The library's layers, losses and activations for Keras 3, on any of its backends.

Keras takes its backend from the environment variable ``KERAS_BACKEND`` (``torch``, ``jax`` or
``tensorflow``), or from ``~/.keras/keras.json``, when it is first imported; where neither names one, it is
TensorFlow.
"""

from ._missing import explain_missing

try:
    from .activations import log_softmax, logsumexp, softmax
    from .layers import Softmax
    from .losses import CrossEntropy
    from .sigmoid_losses import SigmoidCrossEntropy
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(explain_missing(error), name=error.name) from error

__all__ = ["CrossEntropy", "SigmoidCrossEntropy", "Softmax", "log_softmax", "logsumexp", "softmax"]
