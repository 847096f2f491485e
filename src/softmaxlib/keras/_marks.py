"""Marks on tensors that hold probabilities: the loss sees that softmax was applied before."""

import contextlib
from typing import Any

_MARK = "_softmaxlib_probabilities"
_MARK_OF_KERAS = "_keras_logits"  # Keras's own softmax leaves its logits on the result


def mark_probabilities(tensor: Any) -> Any:
    """Mark the result of a softmax. A tensor in a graph of JAX can't be marked."""
    with contextlib.suppress(AttributeError):
        setattr(tensor, _MARK, True)
    return tensor


def is_marked(tensor: Any) -> bool:
    """Return True if a tensor is marked as the result of a softmax."""
    return hasattr(tensor, _MARK) or hasattr(tensor, _MARK_OF_KERAS)
