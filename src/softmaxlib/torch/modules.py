"""Layers in the style of PyTorch."""

import torch
from torch import Tensor

from .._renamed import checked_keywords
from ._operators import Dims, check_tensor
from .activations import log_softmax, softmax
from .losses import IGNORE_INDEX, cross_entropy
from .simplex import entmax, sparsemax

__all__ = ["CrossEntropyLoss", "Entmax", "LogSoftmax", "Softmax", "Sparsemax"]


class _Activation(torch.nn.Module):
    @checked_keywords
    def __init__(self, dim: Dims = -1, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.dim = dim
        self.temperature = temperature

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        return f"dim={self.dim}, temperature={self.temperature}"


class Softmax(_Activation):
    """Probabilities along ``dim``, as a layer.

    Parameters
    ----------
    dim : int, sequence of int or None, default -1
        The dimension of the classes. None means all dimensions.
    temperature : float, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it.

    See Also
    --------
    softmaxlib.torch.softmax : The function, with its accuracy.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> layer = softmaxlib.torch.Softmax(dim=1)
    >>> layer(torch.tensor([[2.0, 1.0, 0.1], [0.2, 1.9, 3.0]]))
    tensor([[0.6590, 0.2424, 0.0986],
            [0.0436, 0.2388, 0.7175]])
    """

    def forward(self, input: Tensor, where: Tensor | None = None) -> Tensor:
        """Compute probabilities in the shape of ``input``. ``where`` False masks an entry."""
        return softmax(input, self.dim, temperature=self.temperature, where=where)


class LogSoftmax(_Activation):
    """Logarithms of the probabilities along ``dim``, as a layer.

    Parameters
    ----------
    dim : int, sequence of int or None, default -1
        The dimension of the classes. None means all dimensions.
    temperature : float, default 1.0
        Must be above 0. Values above 1 flatten the distribution, and values below 1 sharpen it.

    See Also
    --------
    softmaxlib.torch.log_softmax : The function, with its accuracy.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.LogSoftmax(dim=0)(torch.tensor([0.0, -20.0]))
    tensor([-2.0612e-09, -2.0000e+01])
    """

    def forward(self, input: Tensor, where: Tensor | None = None) -> Tensor:
        """Compute logarithms in the shape of ``input``. ``where`` False masks an entry."""
        return log_softmax(input, self.dim, temperature=self.temperature, where=where)


class CrossEntropyLoss(torch.nn.Module):
    """Cross-entropy of logits, as a layer. It replaces ``torch.nn.CrossEntropyLoss``.

    Parameters
    ----------
    class_weight : Tensor, shape (K,), optional
        One weight per class, stored as a buffer.
    ignore_index, reduction, label_smoothing, focal_gamma, z_loss
        As in `softmaxlib.torch.cross_entropy`.

    See Also
    --------
    softmaxlib.torch.cross_entropy : The function, with its formula and accuracy.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> loss = softmaxlib.torch.CrossEntropyLoss(label_smoothing=0.1)
    >>> loss(torch.tensor([[2.0, 1.0, 0.1]]), torch.tensor([0]))
    tensor(0.5137)
    """

    class_weight: Tensor | None

    @checked_keywords
    def __init__(
        self,
        class_weight: Tensor | None = None,
        *,
        ignore_index: int | None = IGNORE_INDEX,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        z_loss: float = 0.0,
    ) -> None:
        super().__init__()
        if class_weight is not None:
            check_tensor(class_weight, "class_weight")
        self.register_buffer("class_weight", class_weight)
        self.options = {
            "ignore_index": ignore_index,
            "reduction": reduction,
            "label_smoothing": label_smoothing,
            "focal_gamma": focal_gamma,
            "z_loss": z_loss,
        }

    def forward(self, input: Tensor, target: Tensor, where: Tensor | None = None) -> Tensor:
        """Compute the loss of logits (N, K, ...) for class indices (N, ...) or probabilities (N, K, ...)."""
        return cross_entropy(input, target, self.class_weight, where=where, **self.options)

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class Sparsemax(torch.nn.Module):
    """Probabilities with exact zeros along ``dim``, as a layer.

    Parameters
    ----------
    dim : int, sequence of int or None, default -1
        The dimension of the classes. None means all dimensions.

    See Also
    --------
    softmaxlib.torch.sparsemax : The function.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.Sparsemax()(torch.tensor([1.0, 0.5, -1.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """

    @checked_keywords
    def __init__(self, dim: Dims = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor, where: Tensor | None = None) -> Tensor:
        """Compute probabilities in the shape of ``input``. ``where`` False masks an entry."""
        return sparsemax(input, self.dim, where=where)

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        return f"dim={self.dim}"


class Entmax(torch.nn.Module):
    """Probabilities between softmax (``alpha`` 1) and sparsemax (2), as a layer.

    Parameters
    ----------
    alpha : float or Tensor, default 1.5
        Order of the entropy, as in `softmaxlib.torch.entmax`. A ``Parameter`` is learned.
    dim : int, sequence of int or None, default -1
        The dimension of the classes. None means all dimensions.

    See Also
    --------
    softmaxlib.torch.entmax : The function.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.Entmax(alpha=1.5)(torch.tensor([2.0, 1.0, -2.0]))
    tensor([0.8307, 0.1693, 0.0000])
    """

    @checked_keywords
    def __init__(self, alpha: float | Tensor = 1.5, dim: Dims = -1) -> None:
        super().__init__()
        self.alpha = alpha
        self.dim = dim

    def forward(self, input: Tensor, where: Tensor | None = None) -> Tensor:
        """Compute probabilities in the shape of ``input``. ``where`` False masks an entry."""
        return entmax(input, self.alpha, self.dim, where=where)

    def extra_repr(self) -> str:
        """Return the text between the brackets of ``repr``."""
        return f"alpha={self.alpha}, dim={self.dim}"
