"""Probabilities that arrive where logits are meant: a softmax in the model, and another one in the loss."""

import sys
from typing import Any

import keras

from .._arrays import known_values
from .._checks import look_like_probabilities
from .._warn import warn_user
from ._marks import is_marked
from .activations import LogitFunction, softmax
from .layers import Softmax


def warn_of_double_softmax(y_pred: Any, logits: Any, axis: int) -> None:
    """Warn if a loss received the result of a softmax, or if its ``logits`` look like one."""
    if is_marked(y_pred) or _looks_like_softmax(logits, axis):
        warn_user(
            "the loss takes logits and was given probabilities: softmax is applied twice, and training is "
            "slow and incomplete; leave the softmax out of the model's last layer, and apply it to the "
            "predictions"
        )


def _looks_like_softmax(logits: Any, axis: int) -> bool:
    values = known_values(logits, "y_pred")
    if values is None:
        return keras.backend.backend() == "jax" and _model_in_training_ends_in_softmax()
    rows = values.swapaxes(axis, -1)
    return bool(values.size) and look_like_probabilities(rows.reshape(-1, rows.shape[-1]))


def _model_in_training_ends_in_softmax() -> bool:
    """Look at the last step of the model whose `compute_loss` calls the loss, if it has one output.

    Keras gives a loss the predictions alone. The stack is searched once per compilation, not in each step.
    """
    frame = sys._getframe()
    while frame is not None:
        model = frame.f_locals.get("self")
        if frame.f_code.co_name == "compute_loss" and isinstance(model, keras.Model):
            return _ends_in_softmax(model)
        frame = frame.f_back
    return False


def _ends_in_softmax(model: keras.Model) -> bool:
    if not isinstance(model, keras.Sequential) and len(getattr(model, "outputs", ())) != 1:
        return False
    last = getattr(model, "operations", model.layers)[-1]  # a functional model may end in a function
    if isinstance(last, LogitFunction):
        return last.function == "softmax"
    activation = getattr(last, "activation", None)
    return isinstance(last, (keras.layers.Softmax, Softmax)) or activation in (
        keras.activations.softmax,
        softmax,
    )
