"""Cross-entropy from binary logits."""

from typing import Any

import keras
from keras import ops
from keras.src.backend import get_keras_mask

from .. import _generic
from .._arrays import as_numpy
from .._renamed import checked_keywords
from ..errors import InvalidInputError
from ..losses._sigmoid_arguments import SigmoidLossOptions, check_element_weight
from . import _namespace
from ._loss_rows import RowLosses, reduce_rows

__all__ = ["SigmoidCrossEntropy"]


@keras.saving.register_keras_serializable(package="softmaxlib")
class SigmoidCrossEntropy(keras.losses.Loss):
    """Cross-entropy of independent binary logits.

    It replaces ``keras.losses.BinaryCrossentropy(from_logits=True)`` and its focal version. See
    `softmaxlib.sigmoid_cross_entropy` for the formula.

    Parameters
    ----------
    weight, pos_weight : float or sequence of float, optional
        One weight per label (along the last axis), and an additional weight of the positive outcome. Finite
        and not negative.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over both outcomes.
    focal_gamma : float >= 0, default 0.0
        Exponent of the focal loss. A larger value gives less weight to elements that are already right.
    reduction : str, default "sum_over_batch_size"
        A reduction of Keras. The loss of a row is the mean over its last axis.
    name : str, default "sigmoid_cross_entropy"
        Shown while training.
    **keywords
        Arguments of every loss: ``dtype``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If an option is outside its range, or a target has another shape.

    Notes
    -----
    For a model with one output, targets may lack the last axis. Their range is not checked. Half precision is
    computed in float32.

    Examples
    --------
    >>> import softmaxlib.keras
    >>> loss = softmaxlib.keras.SigmoidCrossEntropy()
    >>> float(loss([[1.0]], [[20.0]]))
    2.0611...e-09
    """

    @checked_keywords
    def __init__(
        self,
        weight: Any = None,
        pos_weight: Any = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        reduction: str = "sum_over_batch_size",
        name: str = "sigmoid_cross_entropy",
        **keywords: Any,
    ) -> None:
        super().__init__(reduction=reduction, name=name, **keywords)
        self.options = SigmoidLossOptions(
            _as_numbers(weight, "weight"),
            _as_numbers(pos_weight, "pos_weight"),
            label_smoothing,
            focal_gamma,
            None,
            "none",
        )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Compute the loss of a batch. Rows masked by Keras in ``y_pred`` are ignored."""
        with keras.name_scope(self.name):
            mask = get_keras_mask(y_pred)
            losses = self._losses(y_true, y_pred, mask)
            if mask is not None:
                mask = _namespace.over_rows(ops.cast(mask, "bool"), _namespace.lengths_of(losses))
            loss = reduce_rows(RowLosses(losses, None, mask), sample_weight, self.reduction, by_class=False)
            return ops.cast(loss, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the loss of each row, in the shape of ``y_pred`` without the last axis."""
        return ops.cast(self._losses(y_true, y_pred, None), self.dtype)

    def _losses(self, y_true: Any, y_pred: Any, mask: Any) -> Any:
        logits, _ = _namespace.as_floating(y_pred, "y_pred")
        target: Any = ops.cast(_namespace.as_tensor(y_true, "y_true"), logits.dtype)
        if len(target.shape) == len(logits.shape) - 1 and logits.shape[-1] == 1:
            target = ops.expand_dims(target, -1)
        pairs = list(zip(target.shape, logits.shape, strict=False))
        if len(target.shape) != len(logits.shape) or any(a != b for a, b in pairs if None not in (a, b)):
            raise InvalidInputError(
                f"target must have the shape of logits, {tuple(logits.shape)}, got {tuple(target.shape)}; "
                "give each logit its own target"
            )
        options = dict(vars(self.options))
        del options["reduction"]
        for name in ("weight", "pos_weight"):
            if options[name] is not None:
                options[name] = ops.convert_to_tensor(options[name], logits.dtype)
        if mask is not None:
            options["where"] = _namespace.over_rows(ops.cast(mask, "bool"), _namespace.lengths_of(logits))
        losses, _ = _generic.sigmoid_cross_entropy_terms(_namespace, logits, target, **options)
        return ops.mean(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration of the loss, for saving."""
        options = {name: value for name, value in vars(self.options).items() if name != "where"}
        return super().get_config() | options | {"reduction": self.reduction, "dtype": self.dtype}


def _as_numbers(weight: Any, name: str) -> Any:
    """Return a number or a list of numbers, for saving. None stays None."""
    if weight is None:
        return None
    array = as_numpy(weight, name)
    return check_element_weight(array, array.shape, name).tolist()
