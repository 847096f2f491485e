"""Last layers of a network, combined with their loss."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._checks import check_flag, check_integer, check_layer_shapes
from .._renamed import checked_keywords
from ..transforms import margin
from .linear_cross_entropy import as_layer, linear_cross_entropy
from .losses import IGNORE_INDEX

__all__ = ["LinearCrossEntropyLoss", "MarginHead"]


class LinearCrossEntropyLoss(torch.nn.Module):
    """A linear layer combined with its cross-entropy, without storing the logits.

    Parameters
    ----------
    in_features : int
        Length of the features.
    classes : int
        Number of classes.
    bias : bool, default False
        Whether the layer has a bias.
    softcap, label_smoothing, ignore_index, z_loss, reduction, memory_budget
        As in `softmaxlib.torch.linear_cross_entropy`.

    Attributes
    ----------
    weight : Parameter, shape (classes, in_features)
        Initialized as in ``torch.nn.Linear``.
    bias : Parameter, shape (classes,), or None
        Initialized in the same way.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> loss = softmaxlib.torch.LinearCrossEntropyLoss(8, 1000)
    >>> loss(torch.randn(4, 8), torch.tensor([1, 2, 3, 4])).backward()
    >>> loss.weight.grad.shape
    torch.Size([1000, 8])
    """

    @checked_keywords
    def __init__(
        self,
        in_features: int,
        classes: int,
        *,
        bias: bool = False,
        softcap: float | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = IGNORE_INDEX,
        z_loss: float = 0.0,
        reduction: str = "mean",
        memory_budget: int | None = None,
    ) -> None:
        super().__init__()
        in_features, classes = _check_sizes(in_features, classes)
        start = torch.nn.Linear(in_features, classes, bias=check_flag(bias, "bias"))
        self.weight, self.bias = start.weight, start.bias
        self.options: dict[str, Any] = {
            "softcap": softcap,
            "label_smoothing": label_smoothing,
            "ignore_index": ignore_index,
            "z_loss": z_loss,
            "reduction": reduction,
            "memory_budget": memory_budget,
        }

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of features (..., in_features) for class indices (...)."""
        return linear_cross_entropy(input, self.weight, target, bias=self.bias, **self.options)

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        classes, features = self.weight.shape
        return f"in_features={features}, classes={classes}, bias={self.bias is not None}"


class MarginHead(torch.nn.Module):
    """Logits from the angles between features and class weights, with a margin in training.

    The logits are ``scale * cos(angle)``. In training, with a target, the margins first reduce the cosine of
    the target (see `softmaxlib.margin`). This separates the classes further.

    Parameters
    ----------
    in_features : int
        Length of the features. Integers are computed in float64, and then the whole layer is.
    classes : int
        Number of classes.
    scale : float > 0, default 64.0
        Factor of the cosines.
    angular : float, default 0.5
        Margin added to the angle, in radians from 0 to pi (ArcFace).
    additive : float, default 0.0
        Finite margin subtracted from the cosine (CosFace).

    Attributes
    ----------
    weight : Parameter, shape (classes, in_features)
        One direction per class. Its length does not matter.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> head = softmaxlib.torch.MarginHead(8, 3)
    >>> features, target = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
    >>> loss = softmaxlib.torch.cross_entropy(head(features, target), target)
    >>> head(features).shape
    torch.Size([4, 3])
    """

    @checked_keywords
    def __init__(
        self,
        in_features: int,
        classes: int,
        *,
        scale: float = 64.0,
        angular: float = 0.5,
        additive: float = 0.0,
    ) -> None:
        super().__init__()
        in_features, classes = _check_sizes(in_features, classes)
        self.weight = torch.nn.Parameter(torch.randn(classes, in_features) / math.sqrt(in_features))
        self.margins: dict[str, Any] = {"scale": scale, "angular": angular, "additive": additive}
        margin(np.ones((1, 1)), [0], **self.margins)  # checks them: without a target no call does

    def forward(self, input: Tensor, target: Tensor | None = None) -> Tensor:
        """Return logits (..., classes) of features (..., in_features), with a margin at the target."""
        normalize = torch.nn.functional.normalize
        input, weight, _ = as_layer(input, self.weight, None)
        shape = tuple(input.shape)
        check_layer_shapes(shape, tuple(weight.shape), None, shape[:-1])
        cosine = torch.nn.functional.linear(normalize(input, dim=-1), normalize(weight, dim=-1))
        if target is None or not self.training:
            return self.margins["scale"] * cosine
        return margin(cosine, target, **self.margins)

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        classes, features = self.weight.shape
        margins = ", ".join(f"{name}={value}" for name, value in self.margins.items())
        return f"in_features={features}, classes={classes}, {margins}"


def _check_sizes(in_features: int, classes: int) -> tuple[int, int]:
    """Check and return the sizes of a layer."""
    return check_integer(in_features, "in_features", lower=1), check_integer(classes, "classes", lower=1)
