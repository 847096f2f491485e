"""The parameters of a linear correction: their effect on the logits, and their evidence."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .blocks import sum_over_blocks
from .conditioning import BlockCurvature, Coordinates, Curvature
from .degenerate import Weights
from .layout import Layout
from .likelihood import Rows

Floats = npt.NDArray[np.float64]

INTERCEPT, DIAGONAL, OFF_DIAGONAL, COMMON = range(4)
GROUPS = 4

_PART = 1 << 16  # numbers worked on at a time


class Features(NamedTuple):
    """Smoothed log-probabilities z = center + size * standard."""

    standard: Floats  # laid out in blocks (blocks, classes, length)
    center: Floats  # (classes,)
    size: float
    layout: Layout

    @classmethod
    def of(cls, logits: Floats, weights: Weights) -> "Features":
        """Create features from smoothed log-probabilities (rows, classes), with mean 0 and size 1.

        Rows that are certain hardly move the fit, so that center and size are taken with weights 1 - sum p^2.
        """
        layout = Layout.of(len(logits))
        standard = layout.columns(logits)
        doubt = doubt_of(standard, layout.vector(weights))
        doubt /= doubt.sum()
        center = np.einsum("bi,bki->k", doubt, standard)
        standard -= center[:, None]
        square = np.einsum("bi,bki,bki->", doubt, standard, standard)
        size = float(np.sqrt(square / logits.shape[1])) or 1.0
        standard /= size
        return cls(standard, center, size, layout)

    @classmethod
    def at(cls, logits: Floats, center: Floats, size: float) -> "Features":
        """Create features from smoothed log-probabilities (rows, classes), with a given center and size."""
        layout = Layout.of(len(logits))
        standard = layout.columns(logits)
        standard -= center[:, None]
        standard /= size
        return cls(standard, center, size, layout)

    def about_certainty(self) -> "Features":
        """Return the same with the center at 0, which is log(1)."""
        moved = self.standard + (self.center / self.size)[:, None]
        return self._replace(standard=moved, center=np.zeros_like(self.center))

    def some(self, rows: Any) -> "Features":
        """Return the rows of an index."""
        found = self.layout.undone(self.standard)[rows]
        layout = Layout.of(len(found))
        return self._replace(standard=layout.columns(found), layout=layout)


def doubt_of(smoothed: Floats, weights: Floats) -> Floats:
    """Return how much each row moves a fit: its weight times 1 - sum p^2, by log p laid out in blocks."""
    probability = np.exp(smoothed)
    return weights * (1 - np.einsum("bki,bki->bi", probability, probability) + 1e-9)


class Linear(NamedTuple):
    """Calibrated logits = weight applied to z + intercept."""

    weight: Floats  # (classes,) or (classes, classes)
    intercept: Floats  # (classes,)

    @property
    def finite(self) -> bool:
        """Tell whether all of it is."""
        return bool(np.isfinite(self.weight).all() and np.isfinite(self.intercept).all())


class Evidence(NamedTuple):
    """The part of the parameters that the data determine."""

    known: Floats  # by group: how many of its parameters, 1 - posterior variance / prior variance of each
    log_determinant: float  # of (prior precision + curvature) / prior precision


class Design(ABC):
    """A set of parameters and how they move the logits; the last one is a factor that all classes share."""

    groups: npt.NDArray[np.int64]  # of each parameter
    features: Features
    part: int  # blocks of rows best taken at a time
    exact: bool  # whether all second derivatives are cheap
    fewest_chunks = 8  # of the parts, for a thread

    def __init__(self, features: Features) -> None:
        self.features = features
        self.part = max(1, _PART // features.standard[0].size)

    @abstractmethod
    def calibrated(self, parameters: Floats, some: slice) -> Floats:
        """Return the corrected logits of some blocks, (blocks, classes, length)."""

    @abstractmethod
    def linear(self, parameters: Floats) -> Linear:
        """Return the same, as a function of the smoothed log-probabilities."""

    @abstractmethod
    def gradient(self, residual: Floats, some: slice) -> Floats:
        """Return the derivative of sum(residual * calibrated) by each parameter."""

    @abstractmethod
    def curvature(self, rows: Rows, parameters: Floats) -> Curvature:
        """Return the second derivatives of the loss at these parameters, as many of them as are cheap."""

    def evidence(self, rows: Rows, parameters: Floats, precision: Floats, near: Coordinates) -> Evidence:
        """Return the evidence of the rows at these parameters, under a prior of this precision.

        Where all second derivatives are cheap, the coordinates are those of them.
        """
        del rows, parameters
        determinant = near.log_determinant - float(np.log(precision).sum())
        return Evidence(self.known(precision, near), determinant)

    def known(self, precision: Floats, near: Coordinates) -> Floats:
        """Return the number of known parameters per group, if the matrix of the coordinates is exact."""
        return sums_of_groups(self.groups, 1 - precision * near.variances())

    def probability(self, parameters: Floats, some: slice) -> Floats:
        """Return the softmax of the corrected logits of some blocks."""
        logits = self.calibrated(parameters, some)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def total(self, part: Callable[[slice], Any]) -> Floats:
        """Return the sum of `part` over all blocks, which are taken as suits this design."""
        blocks = len(self.features.standard)
        return sum_over_blocks(blocks, self.part, lambda: part, self.fewest_chunks)

    def some(self, rows: Any) -> Self:
        """Return the same for some of the rows."""
        return type(self)(self.features.some(rows))

    def loss_and_gradient(self, rows: Rows, parameters: Floats) -> tuple[float, Floats]:
        """Return the total loss of the rows, and its derivative by each parameter."""

        def part(some: slice) -> Floats:
            logits = self.calibrated(parameters, some)
            loss = rows.loss_and_residual(logits, some)
            return np.append(self.gradient(logits, some), loss)

        total = self.total(part)
        return float(total[-1]), total[:-1]


def sums_of_groups(groups: npt.NDArray[np.int64], numbers: Floats) -> Floats:
    """Return the sum of a number for each parameter, by group."""
    return np.bincount(groups, numbers, GROUPS).astype(np.float64)


def with_common(curvature: Floats, groups: npt.NDArray[np.int64]) -> Curvature:
    """Return all second derivatives, those by the common factor included, which moves the whole diagonal."""
    diagonal = groups[:-1] == DIAGONAL
    column = curvature[:, diagonal].sum(axis=1)
    corner = column[diagonal].sum()
    whole = np.block([[curvature, column[:, None]], [column[None, :], corner]])
    return BlockCurvature(whole[None], np.empty(0))
