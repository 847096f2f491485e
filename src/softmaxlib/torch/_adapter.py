"""The functions of this package with the signatures of the NumPy functions, for `_frameworks.Adapter`."""

from typing import Any

from torch import Tensor

from . import _draw_on_gpu, activations, losses, simplex
from .linear_cross_entropy import linear_cross_entropy
from .sigmoid_losses import sigmoid_cross_entropy

__all__ = [
    "cross_entropy",
    "draw",
    "entmax",
    "linear_cross_entropy",
    "log_softmax",
    "logsumexp",
    "sigmoid_cross_entropy",
    "softmax",
]

Axes = tuple[int, ...]


def softmax(x: Tensor, /, axis: Axes, *, temperature: Any, where: Tensor | None) -> Tensor:
    """Compute `softmaxlib.softmax` of a tensor."""
    return activations.softmax(x, axis, temperature=temperature, where=where)


def log_softmax(x: Tensor, /, axis: Axes, *, temperature: Any, where: Tensor | None) -> Tensor:
    """Compute `softmaxlib.log_softmax` of a tensor."""
    return activations.log_softmax(x, axis, temperature=temperature, where=where)


def logsumexp(x: Tensor, /, axis: Axes, *, where: Tensor | None, keepdims: bool) -> Tensor:
    """Compute `softmaxlib.logsumexp` of a tensor."""
    return activations.logsumexp(x, axis, keepdims, where=where)


def entmax(x: Tensor, /, alpha: Any, axis: Axes, *, where: Tensor | None) -> Tensor:
    """Compute `softmaxlib.entmax` of a tensor."""
    return simplex.entmax(x, alpha, axis, where=where)


def cross_entropy(logits: Tensor, target: Tensor, /, *, axis: int, **options: Any) -> Tensor:
    """Compute `softmaxlib.cross_entropy` of tensors, with the classes along one axis."""
    where = options.pop("where")
    classes_at = min(1, logits.ndim - 1)  # PyTorch's place for the classes
    if target.ndim == logits.ndim:
        target = target.movedim(axis, classes_at)
    if where is not None:
        where = where.movedim(axis, classes_at)
    return losses.cross_entropy(logits.movedim(axis, classes_at), target, where=where, **options)


def draw(stages: Any, logits: Tensor, /, **data: Any) -> Any:
    """Return tokens of a chain, drawn on the tensor's own device where that is a GPU."""
    return _draw_on_gpu.draw(stages, logits, **data) if logits.is_cuda else NotImplemented
