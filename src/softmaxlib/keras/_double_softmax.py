"""Probabilities that arrive where logits are meant: a softmax in the model, and another one in the loss."""

import contextlib
from typing import Any

from .._arrays import known_values
from .._checks import look_like_probabilities
from .._warn import warn_user

_MARK = "_softmaxlib_probabilities"
_MARK_OF_KERAS = "_keras_logits"  # Keras's own softmax leaves its logits on the result


def mark_probabilities(tensor: Any) -> Any:
    """Mark the result of a softmax, for a loss that receives it; JAX's tensors can't be marked."""
    with contextlib.suppress(AttributeError):
        setattr(tensor, _MARK, True)
    return tensor


def warn_of_double_softmax(y_pred: Any, logits: Any, axis: int) -> None:
    """Warn if a loss received the result of a softmax, or if its ``logits`` look like one."""
    if hasattr(y_pred, _MARK) or hasattr(y_pred, _MARK_OF_KERAS) or _look_alike(logits, axis):
        warn_user(
            "the loss takes logits and was given probabilities: softmax is applied twice, and training is "
            "slow and incomplete; leave the softmax out of the model's last layer, and apply it to the "
            "predictions"
        )


def _look_alike(logits: Any, axis: int) -> bool:
    values = known_values(logits, "y_pred")
    if values is None or not values.size:
        return False
    rows = values.swapaxes(axis, -1)
    return look_like_probabilities(rows.reshape(-1, rows.shape[-1]))
