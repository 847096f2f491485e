"""Coordinates in which a penalised loss is nearly round, so that its minimum is found in few steps.

The loss is bent by the data and by the prior: its second derivative is curvature + precision. With a matrix
A near to it, A = L L', the coordinates are s = L' parameters; in them A is the identity.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .products import applied, factor, product

Floats = npt.NDArray[np.float64]


class Coordinates(ABC):
    """The conversion of parameters to coordinates and back, by A = L L', and the variances under A.

    Each of the methods takes a vector of numbers, or several as columns.
    """

    log_determinant: float  # of A

    @abstractmethod
    def of(self, parameters: Floats) -> Floats:
        """Return coordinates of parameters: L' parameters."""

    @abstractmethod
    def parameters(self, place: Floats) -> Floats:
        """Return parameters at coordinates: the inverse of L', times the place."""

    @abstractmethod
    def slope(self, gradient: Floats) -> Floats:
        """Convert a gradient from parameters to coordinates: the inverse of L, times the gradient."""

    @abstractmethod
    def variances(self) -> Floats:
        """Return the diagonal of the inverse of A."""


class Curvature(ABC):
    """The second derivatives of the loss without the prior, as far as they are known."""

    @abstractmethod
    def coordinates(self, precision: Floats) -> Coordinates:
        """Return the coordinates for a prior with this precision (1 / variance) per parameter."""


def factor_above_identity(matrices: Floats) -> tuple[Floats, Floats]:
    """Return the lower triangular L with L L' = matrix, for symmetric matrices with eigenvalues >= 1.

    Where rounding has made a matrix indefinite, its eigenvalues are first raised to the 1 that they can't be
    below. The inverse of L comes with it.
    """
    try:
        return factor(matrices)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrices)
        root: Floats = vectors * np.sqrt(np.maximum(values, 1.0))[..., None, :]
        upper = np.linalg.qr(np.swapaxes(root, -1, -2), mode="r")
        sign = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        lower = np.swapaxes(sign[..., :, None] * upper, -1, -2)
        return lower, np.linalg.inv(lower)


class _Units(Coordinates):
    """Return coordinates with a separate unit for each parameter."""

    def __init__(self, diagonal: Floats) -> None:
        self._root = np.sqrt(diagonal)
        self.log_determinant = float(np.log(diagonal).sum())

    def of(self, parameters: Floats) -> Floats:
        return (parameters.T * self._root).T

    def parameters(self, place: Floats) -> Floats:
        return (place.T / self._root).T

    def slope(self, gradient: Floats) -> Floats:
        return (gradient.T / self._root).T

    def variances(self) -> Floats:
        return self._root**-2.0


class _Blocks(Coordinates):
    """Equal blocks of parameters by their triangular factors; those that follow in units of their own."""

    def __init__(self, lower: Floats, inverse: Floats, rest: Floats) -> None:
        self._lower, self._inverse = lower, inverse
        self._rest = _Units(rest)
        diagonal = np.diagonal(lower, axis1=1, axis2=2)
        self.log_determinant = 2 * float(np.log(diagonal).sum()) + self._rest.log_determinant

    def of(self, parameters: Floats) -> Floats:
        return self._apply(np.swapaxes(self._lower, 1, 2), parameters, self._rest.of)

    def parameters(self, place: Floats) -> Floats:
        return self._apply(np.swapaxes(self._inverse, 1, 2), place, self._rest.parameters)

    def slope(self, gradient: Floats) -> Floats:
        return self._apply(self._inverse, gradient, self._rest.slope)

    def variances(self) -> Floats:
        squares = np.einsum("bji,bji->bi", self._inverse, self._inverse)
        return np.concatenate([squares.ravel(), self._rest.variances()])

    def _apply(self, matrices: Floats, numbers: Floats, of_rest: Callable[[Floats], Floats]) -> Floats:
        count, size, _ = matrices.shape
        within, beyond = numbers[: count * size], numbers[count * size :]
        parts = within.reshape(count, size, *numbers.shape[1:])
        inner = applied(matrices, parts) if numbers.ndim == 1 else product(matrices, parts)
        return np.concatenate([inner.reshape(within.shape), of_rest(beyond)])


class DiagonalCurvature(Curvature):
    """The second derivative by each parameter alone."""

    def __init__(self, diagonal: Floats) -> None:
        self.diagonal = diagonal

    def coordinates(self, precision: Floats) -> Coordinates:
        """Return coordinates with a separate unit for each parameter."""
        return _Units(precision + self.diagonal)


class BlockCurvature(Curvature):
    """Second derivatives within equal blocks of consecutive parameters, and of those that follow alone."""

    def __init__(self, blocks: Floats, rest: Floats) -> None:
        self.blocks = blocks  # (blocks, size, size)
        self.rest = rest  # (others,)

    def coordinates(self, precision: Floats) -> Coordinates:
        """Return blocks by Cholesky decomposition; the others by their own units."""
        count, size, _ = self.blocks.shape
        matrices = self.blocks.copy()
        place = np.arange(size)
        matrices[:, place, place] += precision[: count * size].reshape(count, size)
        try:
            lower, inverse = factor(matrices)
        except np.linalg.LinAlgError:
            spread = np.sqrt(precision[: count * size]).reshape(count, size)
            whitened = self.blocks / spread[:, :, None] / spread[:, None, :] + np.eye(size)
            lower, inverse = factor_above_identity(whitened)
            lower, inverse = spread[:, :, None] * lower, inverse / spread[:, None, :]
        return _Blocks(lower, inverse, precision[count * size :] + self.rest)
