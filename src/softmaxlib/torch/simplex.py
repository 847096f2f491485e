"""sparsemax and entmax of PyTorch tensors."""

from torch import Tensor
from torch.compiler import is_exporting

from .._arrays import check_axis
from .._checks import check_order
from .._renamed import checked_keywords
from . import _simplex_operators as operators
from ._operators import Dims, as_floating, as_integers, check_device, check_row_numbers, check_where

__all__ = ["entmax", "sparsemax"]


@checked_keywords
def sparsemax(input: Tensor, dim: Dims = -1, *, where: Tensor | None = None) -> Tensor:
    """Compute probabilities with exact zeros.

    Parameters
    ----------
    input : Tensor
        Logits of any shape, on any device.
    dim : int, sequence of int or None, default -1
        The dimensions of the classes. None means all.
    where : Tensor of bool, optional
        True for the entries that take part. Broadcasts to `input`.

    Returns
    -------
    Tensor
        Probabilities in the shape of `input`.

    See Also
    --------
    softmaxlib.sparsemax : The formula and its source.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.sparsemax(torch.tensor([1.0, 0.5, -1.0]))
    tensor([0.7500, 0.2500, 0.0000])
    """
    return entmax(input, 2.0, dim, where=where)


@checked_keywords
def entmax(
    input: Tensor, alpha: float | Tensor = 1.5, dim: Dims = -1, *, where: Tensor | None = None
) -> Tensor:
    """Compute probabilities between softmax (``alpha`` 1) and sparsemax (2), with exact zeros above 1.

    Parameters
    ----------
    input : Tensor
        Logits of any shape, on any device.
    alpha : float or Tensor, default 1.5
        Order of the entropy, above 0. One number, or one per row (for example per attention head), in the
        shape of `input` without `dim` or with length 1 there. A tensor gets a gradient.
    dim : int, sequence of int or None, default -1
        The dimensions of the classes. None means all.
    where : Tensor of bool, optional
        True for the entries that take part. Broadcasts to `input`.

    Returns
    -------
    Tensor
        Probabilities in the shape of `input`.

    Raises
    ------
    softmaxlib.errors.InvalidInputError
        If `alpha` is not positive and finite.

    See Also
    --------
    softmaxlib.entmax : The formula and its source.

    Examples
    --------
    >>> import torch
    >>> import softmaxlib.torch
    >>> softmaxlib.torch.entmax(torch.tensor([2.0, 1.0, -2.0]))
    tensor([0.8307, 0.1693, 0.0000])
    """
    input = as_floating(input, None)
    if isinstance(alpha, Tensor):
        check_device(alpha, "alpha", input, may_be_number=True)
    rows = input if input.dim() else input[None]
    order = check_row_numbers(check_order, alpha, rows, check_axis(dim, rows.dim()), "alpha")
    dim = as_integers(dim)
    check_where(where, input)
    if input.dim() == 0:
        return entmax(input[None], order, dim, where=where)[0]
    if is_exporting():
        return operators.entmax_definition(input, order, dim, where)
    if isinstance(order, float):
        return operators.entmax(input, order, dim, where)
    return operators.entmax_of_orders(input, order, dim, where)
