"""One factor and one intercept a class."""

import numpy as np

from .conditioning import Coordinates, Curvature, DiagonalCurvature
from .designs import (
    COMMON,
    DIAGONAL,
    INTERCEPT,
    Design,
    Evidence,
    Features,
    Floats,
    Linear,
    sums_of_groups,
    with_common,
)
from .likelihood import Rows
from .products import squared

_EXACT_PARAMETERS = 1200  # up to here the full matrix of second derivatives is cheap


class DiagonalDesign(Design):
    """K factors, K intercepts, and the common factor."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        classes = features.standard.shape[1]
        self.groups = np.repeat([DIAGONAL, INTERCEPT, COMMON], [classes, classes, 1])
        self.exact = len(self.groups) <= _EXACT_PARAMETERS

    def calibrated(self, parameters: Floats, some: slice) -> Floats:
        """Return features times factor, plus intercept."""
        scale, intercept = np.split(parameters[:-1], 2)
        factor = self.features.size + parameters[-1] + scale
        output = self.features.standard[some] * factor[:, None]
        output += (self.features.center + intercept)[:, None]
        return output

    def linear(self, parameters: Floats) -> Linear:
        """Use one weight per class."""
        scale, intercept = np.split(parameters[:-1], 2)
        weight = 1 + (scale + parameters[-1]) / self.features.size
        return Linear(weight, self.features.center * (1 - weight) + intercept)

    def gradient(self, residual: Floats, some: slice) -> Floats:
        """Return the derivatives with respect to factors, intercepts and their common factor."""
        scale = np.einsum("bki,bki->k", residual, self.features.standard[some])
        return np.concatenate([scale, residual.sum(axis=(0, 2)), [scale.sum()]])

    def curvature(self, rows: Rows, parameters: Floats) -> Curvature:
        """Return all second derivatives; with very many classes, those by each parameter alone."""
        if not self.exact:
            square, _, plain = self._moments_within_classes(rows, parameters)
            return DiagonalCurvature(np.concatenate([square, plain, [square.sum()]]))

        def part(some: slice) -> Floats:
            probability, weights = self.probability(parameters, some), rows.weights[some, None]
            moved = np.concatenate([probability * self.features.standard[some], probability], axis=1)
            curvature = -squared(moved * weights, moved)
            factor, offset = np.split(np.arange(len(curvature)), 2)
            square, mixed, plain = self._moments(probability * weights, some)
            curvature[factor, factor] += square
            curvature[factor, offset] += mixed
            curvature[offset, factor] += mixed
            curvature[offset, offset] += plain
            return curvature

        return with_common(self.total(part), self.groups)

    def evidence(self, rows: Rows, parameters: Floats, precision: Floats, near: Coordinates) -> Evidence:
        """Compute evidence from all second derivatives, or from those within a class if there are very many.

        Between two of a thousand classes they are of the size p q, which is small beside p.
        """
        if self.exact:
            return super().evidence(rows, parameters, precision, near)
        square, mixed, plain = self._moments_within_classes(rows, parameters)
        by_factor, by_intercept = np.split(precision[:-1], 2)
        first, second = 1 + square / by_factor, 1 + plain / by_intercept
        determinant = first * second - mixed**2 / (by_factor * by_intercept)
        common = 1 + square.sum() / precision[-1]
        remaining = np.concatenate([second / determinant, first / determinant, [1 / common]])
        known = sums_of_groups(self.groups, 1 - remaining)
        return Evidence(known, float(np.log(determinant).sum() + np.log(common)))

    def _moments_within_classes(self, rows: Rows, parameters: Floats) -> Floats:
        """Return the moments with mass p (1 - p), of all rows."""

        def part(some: slice) -> Floats:
            mass = self.probability(parameters, some)
            mass *= (1 - mass) * rows.weights[some, None]
            return np.stack(self._moments(mass, some))

        return self.total(part)

    def _moments(self, mass: Floats, some: slice) -> tuple[Floats, Floats, Floats]:
        """Return, per class, the sums of mass times the squared feature, the feature, and 1."""
        standard = self.features.standard[some]
        moved = mass * standard
        square = np.einsum("bki,bki->k", moved, standard)
        return square, moved.sum(axis=(0, 2)), mass.sum(axis=(0, 2))
