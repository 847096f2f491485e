"""Layers, losses and activations for Keras 3, on any backend.

Keras chooses its backend when it is first imported. It reads the environment variable ``KERAS_BACKEND``
(``torch``, ``jax`` or ``tensorflow``) and then ``~/.keras/keras.json``. The default is TensorFlow.
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
