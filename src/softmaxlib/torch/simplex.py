"""sparsemax and entmax of PyTorch tensors."""

from torch import Tensor
from torch.compiler import is_exporting

from ..activations.entmax import check_order
from . import _simplex_operators as operators
from ._operators import Dims, as_floating

__all__ = ["entmax", "sparsemax"]


def sparsemax(input: Tensor, dim: Dims = -1, *, where: Tensor | None = None) -> Tensor:
    """Probabilities with exact zeros: the point of the simplex nearest to the logits.

    Parameters
    ----------
    input : Tensor
        Logits of any shape, on any device.
    dim : int, sequence of int or None, default -1
        The dimensions that hold the classes; None means all of them.
    where : Tensor of bool, optional
        True takes part; broadcasts to `input`.

    Returns
    -------
    Tensor
        Probabilities of the shape of `input`.

    See Also
    --------
    softmaxlib.sparsemax : the formula and its source.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.sparsemax(torch.tensor([1.0, 0.5, -1.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """
    return entmax(input, 2.0, dim, where=where)


def entmax(input: Tensor, alpha: float = 1.5, dim: Dims = -1, *, where: Tensor | None = None) -> Tensor:
    """Probabilities between softmax (``alpha`` 1) and sparsemax (2), with exact zeros above 1.

    Parameters
    ----------
    input : Tensor
        Logits of any shape, on any device.
    alpha : float, default 1.5
        Order of the entropy, 1 or more.
    dim : int, sequence of int or None, default -1
        The dimensions that hold the classes; None means all of them.
    where : Tensor of bool, optional
        True takes part; broadcasts to `input`.

    Returns
    -------
    Tensor
        Probabilities of the shape of `input`.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        For an `alpha` below 1, NaN or infinite.

    See Also
    --------
    softmaxlib.entmax : the formula and its source.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.entmax(torch.tensor([2.0, 1.0, -2.0]))
    tensor([0.8307, 0.1693, 0.0000])
    """
    input, alpha = as_floating(input, None), check_order(alpha)
    if input.dim() == 0:
        return entmax(input[None], alpha, dim, where=where)[0]
    if is_exporting():
        return operators.entmax_definition(input, alpha, dim, where)
    return operators.entmax(input, alpha, dim, where)
