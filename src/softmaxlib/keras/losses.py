"""Cross-entropy from logits, with the library's options."""

from typing import Any

import keras
from keras import ops

from .. import _generic
from ..losses._loss_arguments import LossOptions
from . import _namespace

__all__ = ["CrossEntropy"]


@keras.saving.register_keras_serializable(package="softmaxlib")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits against class indices or class probabilities.

    In the place of ``keras.losses.CategoricalCrossentropy(from_logits=True)`` and of its sparse sister: which
    one it is shows in the shape of the target. The formula stands at `softmaxlib.cross_entropy`.

    Parameters
    ----------
    axis : int, default -1
        The class axis of the logits.
    weight : sequence of float, optional
        A factor for each class, finite and not negative.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over the classes.
    ignore_index : int, optional
        Rows with this label count nowhere and have gradient exactly 0.
    focal_gamma : float >= 0, default 0.0
        Focal loss: the higher, the less the rows count that are already right.
    z_loss : float >= 0, default 0.0
        Coefficient of logsumexp squared.
    reduction : str, default "sum_over_batch_size"
        Keras's. The default divides as `softmaxlib.cross_entropy` does for a mean: by the weights of the
        labels, ignored rows left out.
    name : str, default "cross_entropy"
        Shown while training.
    **keywords
        What every loss takes: ``dtype``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        An option outside its range.

    Notes
    -----
    Indices may have a last axis of length 1, as Keras's data often do. Labels are not checked: one outside
    the classes counts as none of them, with loss 0.

    Examples
    --------
    >>> import softmaxlib.keras
    >>> loss = softmaxlib.keras.CrossEntropy()
    >>> float(loss([0], [[0.0, -20.0]]))
    2.0611...e-09
    """

    def __init__(
        self,
        axis: int = -1,
        weight: Any = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        focal_gamma: float = 0.0,
        z_loss: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "cross_entropy",
        **keywords: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name, **keywords)
        self.axis = axis
        weight = None if weight is None else [float(one) for one in weight]
        self.options = LossOptions(
            axis, weight, label_smoothing, ignore_index, focal_gamma, z_loss, None, "none"
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row, of the shape of ``y_pred`` without the class axis."""
        logits, dtype = _namespace.as_floating(y_pred)
        axis = self.axis % len(logits.shape)
        target = self._target(ops.convert_to_tensor(y_true), logits, axis)
        options = vars(self.options) | {"axis": axis}
        del options["reduction"]
        losses, weight, _ = _generic.cross_entropy_terms(_namespace, logits, target, **options)
        if self.reduction in ("sum_over_batch_size", "mean"):  # which divide by the number of rows
            losses = losses / ops.mean(weight)
        return ops.cast(losses, dtype)

    def _target(self, target: Any, logits: Any, axis: int) -> Any:
        if len(target.shape) == len(logits.shape):
            if target.shape[axis] != 1 or logits.shape[axis] == 1:
                return ops.cast(target, logits.dtype)
            target = ops.squeeze(target, axis)
        return ops.cast(target, "int32")

    def get_config(self) -> dict[str, Any]:
        """What it is made of, for saving."""
        options = {name: value for name, value in vars(self.options).items() if name != "where"}
        return super().get_config() | options | {"reduction": self.reduction}
