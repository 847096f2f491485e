"""One weight for each pair of classes, and one intercept a class."""

import numpy as np

from .conditioning import BlockCurvature, Coordinates, Curvature, DiagonalCurvature
from .designs import (
    COMMON,
    DIAGONAL,
    INTERCEPT,
    OFF_DIAGONAL,
    Design,
    Evidence,
    Features,
    Floats,
    Linear,
    with_common,
)
from .likelihood import Rows
from .probing import probed_evidence
from .products import backward, forward, squared

_EXACT_PARAMETERS = 450  # up to here the full matrix of second derivatives is cheap
_MOST_BLOCKS = 200  # classes up to which each has a block of second derivatives


class FullDesign(Design):
    """K rows of K weights and an intercept, and the common factor."""

    fewest_chunks = 2

    def __init__(self, features: Features) -> None:
        blocks, classes, length = features.standard.shape
        self._inputs = np.concatenate([features.standard, np.ones((blocks, 1, length))], axis=1)
        super().__init__(features._replace(standard=self._inputs[:, :-1]))
        self._shape = (classes, classes + 1)
        groups = np.full(self._shape, OFF_DIAGONAL)
        groups[np.diag_indices(classes)] = DIAGONAL
        groups[:, classes] = INTERCEPT
        self.groups = np.append(groups.ravel(), COMMON)
        self.exact = len(self.groups) <= _EXACT_PARAMETERS

    def calibrated(self, parameters: Floats, some: slice) -> Floats:
        """Return inputs times weights."""
        weight = self._weight(parameters)
        weight[np.diag_indices(len(weight))] += self.features.size
        weight[:, -1] += self.features.center
        return forward(weight, self._inputs[some])

    def linear(self, parameters: Floats) -> Linear:
        """Use one weight per pair of classes."""
        weight = self._weight(parameters)
        change, intercept = weight[:, :-1] / self.features.size, weight[:, -1]
        return Linear(np.eye(len(change)) + change, intercept - change @ self.features.center)

    def gradient(self, residual: Floats, some: slice) -> Floats:
        """Return the derivatives with respect to each weight and their common factor."""
        weight = backward(residual, self._inputs[some])
        return np.append(weight.ravel(), np.trace(weight))

    def curvature(self, rows: Rows, parameters: Floats) -> Curvature:
        """Return all second derivatives; with more classes those within one, or by each parameter alone."""
        if self.exact:
            return with_common(self.total(lambda some: self._between(rows, parameters, some)), self.groups)
        if self._shape[0] > _MOST_BLOCKS:
            return DiagonalCurvature(self.total(lambda some: self._alone(rows, parameters, some)))
        blocks = self.total(lambda some: self._within(rows, parameters, some))
        every = np.arange(self._shape[0])
        return BlockCurvature(blocks, np.array([blocks[every, every, every].sum()]))

    def evidence(self, rows: Rows, parameters: Floats, precision: Floats, near: Coordinates) -> Evidence:
        """Compute evidence exactly for few classes, and from random probes otherwise."""
        if self.exact:
            return super().evidence(rows, parameters, precision, near)
        inputs = self._inputs.astype(np.float32)  # a probe errs by much more than a rounding
        probability = np.empty(self.features.standard.shape, np.float32)

        def keep(some: slice) -> Floats:
            probability[some] = self.probability(parameters, some)
            return np.zeros(1)

        self.total(keep)
        mass = probability * rows.weights[:, None].astype(np.float32)

        def curve(probes: Floats) -> Floats:
            """Return the second derivatives times each column."""
            count, classes = probes.shape[1], self._shape[0]
            weight = np.concatenate([self._weight(one) for one in probes.T]).astype(np.float32)

            def part(some: slice) -> Floats:
                change = forward(weight, inputs[some])
                by_probe = change.reshape(len(change), count, classes, -1)
                by_probe -= (probability[some, None] * by_probe).sum(axis=2, keepdims=True)
                by_probe *= mass[some, None]
                return backward(change, inputs[some]).astype(np.float64)

            found = self.total(part).reshape(count, *self._shape)
            common = np.trace(found, axis1=1, axis2=2)
            return np.concatenate([found.reshape(count, -1).T, common[None]])

        return probed_evidence(curve, self.groups, precision, near)

    def _weight(self, parameters: Floats) -> Floats:
        weight = parameters[:-1].reshape(self._shape).copy()
        weight[np.diag_indices(len(weight))] += parameters[-1]
        return weight

    def _alone(self, rows: Rows, parameters: Floats, some: slice) -> Floats:
        """Return the second derivatives of each parameter alone."""
        mass = self.probability(parameters, some)
        mass *= (1 - mass) * rows.weights[some, None]
        weight = backward(mass, np.square(self._inputs[some]))
        return np.append(weight.ravel(), np.trace(weight))

    def _within(self, rows: Rows, parameters: Floats, some: slice) -> Floats:
        """Return the second derivatives within each class."""
        mass, inputs = self.probability(parameters, some), self._inputs[some]
        mass *= (1 - mass) * rows.weights[some, None]
        return np.stack([squared(inputs * mass[:, [one]], inputs) for one in range(self._shape[0])])

    def _between(self, rows: Rows, parameters: Floats, some: slice) -> Floats:
        """Return the second derivatives within and between classes."""
        probability, weights = self.probability(parameters, some), rows.weights[some, None]
        classes, length = self._shape
        size = classes * length
        curvature = np.zeros((classes, length, classes, length))
        for block in range(len(probability)):  # what an outer product moves fits in the cache
            inputs = self._inputs[some][block]
            moved = (probability[block, :, None] * inputs).reshape(1, size, -1)
            curvature -= squared(moved * weights[block], moved).reshape(curvature.shape)
        mass = probability * weights
        for one in range(classes):
            curvature[one, :, one] += squared(self._inputs[some] * mass[:, [one]], self._inputs[some])
        return curvature.reshape(size, size)
