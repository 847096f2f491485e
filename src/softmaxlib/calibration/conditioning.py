"""Coordinates in which a penalised loss is nearly round, so that its minimum is found in few steps.

The loss is bent by the data and by the prior: its second derivative is curvature + precision. With a matrix
A near to it, A = L L', the coordinates are s = L' parameters; in them A is the identity.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Coordinates(NamedTuple):
    """The way from parameters to coordinates and back, and that of a gradient."""

    of: Callable[[Floats], Floats]  # coordinates of parameters
    parameters: Callable[[Floats], Floats]  # parameters at coordinates
    gradient: Callable[[Floats], Floats]  # by coordinates, from that by parameters


def factor_above_identity(matrices: Floats) -> Floats:
    """The lower triangular L with L L' = matrix, for symmetric matrices of which no eigenvalue is below 1.

    Where rounding has made a matrix indefinite, its eigenvalues are first raised to the 1 that they can't be
    below.
    """
    try:
        return np.linalg.cholesky(matrices).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrices)
        root: Floats = vectors * np.sqrt(np.maximum(values, 1.0))[..., None, :]
        upper = np.linalg.qr(np.swapaxes(root, -1, -2), mode="r")
        sign = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        return np.swapaxes(sign[..., :, None] * upper, -1, -2)


class Curvature(ABC):
    """What is known of the second derivatives of the loss, the prior left out."""

    @abstractmethod
    def coordinates(self, precision: Floats) -> Coordinates:
        """For a prior of this precision (one over variance) for each parameter."""


class DiagonalCurvature(Curvature):
    """The second derivative by each parameter alone."""

    def __init__(self, diagonal: Floats) -> None:
        self.diagonal = diagonal

    def coordinates(self, precision: Floats) -> Coordinates:
        """Every parameter in a unit of its own."""
        unit = (precision + self.diagonal) ** -0.5
        return Coordinates(lambda p: p / unit, lambda s: s * unit, lambda g: g * unit)


class BlockCurvature(Curvature):
    """Second derivatives within equal blocks of consecutive parameters, and of those that follow alone."""

    def __init__(self, blocks: Floats, rest: Floats) -> None:
        self.blocks = blocks  # (blocks, size, size)
        self.rest = rest  # (others,)

    def coordinates(self, precision: Floats) -> Coordinates:
        """Blocks by Cholesky decomposition; the others by their own units."""
        count, size, _ = self.blocks.shape
        matrices = self.blocks.copy()
        place = np.arange(size)
        matrices[:, place, place] += precision[: count * size].reshape(count, size)
        try:
            factor = np.linalg.cholesky(matrices)
        except np.linalg.LinAlgError:
            spread = np.sqrt(precision[: count * size]).reshape(count, size)
            whitened = self.blocks / spread[:, :, None] / spread[:, None, :] + np.eye(size)
            factor = spread[:, :, None] * factor_above_identity(whitened)
        inverse = np.linalg.inv(factor)
        unit = (precision[count * size :] + self.rest) ** -0.5

        def apply(matrix: npt.NDArray[Any], vector: Floats, scale: Floats) -> Floats:
            inner = matrix @ vector[: count * size].reshape(count, size, 1)
            return np.concatenate([inner.ravel(), vector[count * size :] * scale])

        turned, upright = factor.transpose(0, 2, 1), inverse.transpose(0, 2, 1)
        return Coordinates(
            lambda p: apply(turned, p, 1 / unit),
            lambda s: apply(upright, s, unit),
            lambda g: apply(inverse, g, unit),
        )
