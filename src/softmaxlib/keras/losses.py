"""Cross-entropy from logits."""

from typing import Any

import keras
from keras import ops
from keras.src import losses as keras_losses
from keras.src.backend import get_keras_mask

from .. import _generic
from .._arrays import as_numpy, check_axis
from .._checks import check_class_weight, check_known_target
from .._renamed import checked_keywords
from ..losses._loss_arguments import LossOptions
from . import _namespace
from ._double_softmax import warn_of_double_softmax
from ._loss_rows import RowLosses, as_target, check_whole_labels, reduce_rows

__all__ = ["CrossEntropy"]


@keras.saving.register_keras_serializable(package="softmaxlib")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits for class indices or class probabilities.

    It replaces ``keras.losses.CategoricalCrossentropy(from_logits=True)`` and its sparse version: the shape
    of the target tells which. See `softmaxlib.cross_entropy` for the formula.

    Parameters
    ----------
    axis : int, default -1
        The class axis of the logits.
    class_weight : sequence of float, optional
        One weight per class, finite and not negative.
    label_smoothing : float in [0, 1), default 0.0
        The share of each target that is spread evenly over all classes.
    ignore_index : int, optional
        Rows with this label are ignored, and their gradient is exactly 0.
    focal_gamma : float >= 0, default 0.0
        Exponent of the focal loss. A larger value gives less weight to rows that are already right.
    z_loss : float >= 0, default 0.0
        Coefficient of logsumexp squared.
    reduction : str, default "sum_over_batch_size"
        A reduction of Keras. A mean divides by the total weight of the labels of the rows that count, as in
        `softmaxlib.cross_entropy`. Rows that are ignored, or masked by Keras (such as by
        ``Embedding(mask_zero=True)``), do not count. If no row counts, the loss is 0, as in Keras.
    name : str, default "cross_entropy"
        Shown while training.
    **keywords
        Arguments of every loss: ``dtype``.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If an option is outside its range, or a label is out of range or no whole number.

    Warns
    -----
    softmaxlib.errors.SoftmaxlibWarning
        If it gets probabilities, as from a model whose last layer is a softmax. In graphs of JAX they can't
        be distinguished from logits.

    Notes
    -----
    Indices may have a class axis of length 1, as is common in Keras. Half precision is computed in float32.
    The loss has the name ``"softmaxlib>CrossEntropy"``: ``model.compile(loss="softmaxlib>CrossEntropy")``.

    Labels are checked if their values are known: always with PyTorch, and outside of graphs with TensorFlow
    (``run_eagerly=True``) and JAX. In a graph, a label that is out of range, NaN or no whole number has loss
    0.

    Examples
    --------
    >>> import softmaxlib.keras
    >>> loss = softmaxlib.keras.CrossEntropy()
    >>> float(loss([0], [[0.0, -20.0]]))
    2.0611...e-09
    """

    @checked_keywords
    def __init__(
        self,
        axis: int = -1,
        class_weight: Any = None,
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
        if class_weight is not None:
            weights = as_numpy(class_weight, "class_weight")
            check_class_weight(weights, weights.size)
            class_weight = [float(one) for one in weights]
        self.options = LossOptions(
            axis, class_weight, label_smoothing, ignore_index, focal_gamma, z_loss, None, "none"
        )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Compute the loss of a batch. Rows masked by Keras in ``y_pred`` are ignored."""
        with keras.name_scope(self.name):
            rows = self._rows(y_true, y_pred, get_keras_mask(y_pred))
            by_class = self.options.class_weight is not None
            loss = reduce_rows(rows, sample_weight, self.reduction, by_class=by_class)
            return ops.cast(loss, self.dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Compute the loss of each row, in the shape of ``y_pred`` without the class axis."""
        return ops.cast(self._rows(y_true, y_pred, None).losses, self.dtype)

    def _rows(self, y_true: Any, y_pred: Any, mask: Any) -> RowLosses:
        logits, _ = _namespace.as_floating(y_pred, "y_pred")
        (axis,) = check_axis((self.axis,), len(logits.shape))
        lengths = _namespace.lengths_of(logits)
        target = as_target(y_true, logits, axis, self.options.ignore_index)
        warn_of_double_softmax(y_pred, logits, axis)
        by_index = len(target.shape) < len(logits.shape)
        weight = self.options.class_weight
        if weight is not None:
            check_class_weight(weight, logits.shape[axis] or len(weight))
        if mask is not None:  # an ignored row changes neither the loss nor a gradient, whatever it contains
            mask = _namespace.over_rows(ops.cast(mask, "bool"), lengths[:axis] + lengths[axis + 1 :])
            logits = ops.where(ops.expand_dims(mask, axis), logits, 0.0)
            target = target if by_index else ops.where(ops.expand_dims(mask, axis), target, 0.0)
        if by_index:
            check_whole_labels(target, mask, lengths[axis])
            target = _namespace.as_index(target)
        self._check_target(target, mask, logits, axis)
        options = vars(self.options) | {"axis": axis}
        del options["reduction"]
        namespace = _namespace.counting(lengths[axis])
        losses, weight, _ = _generic.cross_entropy_terms(namespace, logits, target, **options)
        counted = mask
        if by_index and self.options.ignore_index is not None:
            labelled = ops.not_equal(target, self.options.ignore_index)
            counted = labelled if mask is None else ops.logical_and(labelled, mask)
        return RowLosses(losses if mask is None else ops.where(mask, losses, 0.0), weight, counted)

    def _check_target(self, target: Any, mask: Any, logits: Any, axis: int) -> None:
        """Check labels and probabilities whose values are known. Ignored rows are not checked."""
        by_index = len(target.shape) < len(logits.shape)
        if mask is not None and not by_index:
            return
        seen = target if mask is None else ops.where(mask, target, 0)
        check_known_target(seen, (axis,), logits.shape[axis], by_index, self.options.ignore_index)

    def get_config(self) -> dict[str, Any]:
        """Return the configuration of the loss, for saving."""
        options = {name: value for name, value in vars(self.options).items() if name != "where"}
        return super().get_config() | options | {"reduction": self.reduction, "dtype": self.dtype}


# a string given to `compile` as the loss is looked up here and nowhere else, registered or not
keras_losses.ALL_OBJECTS_DICT["softmaxlib>CrossEntropy"] = CrossEntropy
