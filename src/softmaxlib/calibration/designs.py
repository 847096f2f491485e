"""Which parameters a linear correction has, how they move the logits, and what the data say about them."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from .base import Weights

Floats = npt.NDArray[np.float64]

INTERCEPT, DIAGONAL, OFF_DIAGONAL = range(3)

_EXACT_PARAMETERS = 1200  # up to here the full matrix of second derivatives is cheap
_PROBES = 4
_SOLVER_STEPS = 50
_SOLVER_TOLERANCE = 1e-3


class Uncertainty(NamedTuple):
    """What the data leave open."""

    remaining: Floats  # posterior variance / prior variance of each parameter
    log_determinant: float  # of (prior precision + curvature) / prior precision


class Design(Protocol):
    """A set of parameters and how they move the logits, on features that are standardised."""

    groups: npt.NDArray[np.int64]

    def output(self, parameters: Floats) -> Floats:
        """The change of the logits, (rows, classes)."""
        ...

    def gradient(self, residual: Floats) -> Floats:
        """The derivative of sum(residual * output) by each parameter."""
        ...

    def uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """What the likelihood at these probabilities leaves open under this prior."""
        ...


class DiagonalDesign:
    """K factors, then K intercepts."""

    def __init__(self, standard: Floats) -> None:
        self._standard = standard
        classes = standard.shape[1]
        self.groups = np.repeat([DIAGONAL, INTERCEPT], classes)

    def output(self, parameters: Floats) -> Floats:
        """Features times factor, plus intercept."""
        scale, intercept = np.split(parameters, 2)
        return self._standard * scale + intercept

    def gradient(self, residual: Floats) -> Floats:
        """By factor and by intercept."""
        return np.concatenate([np.einsum("ij,ij->j", residual, self._standard), residual.sum(axis=0)])

    def uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """From the full matrix of second derivatives, 2 K x 2 K."""
        moved = np.hstack([probabilities * self._standard, probabilities])
        curvature = -(moved.T * weights) @ moved
        classes = probabilities.shape[1]
        index = np.arange(classes)
        mass = weights[:, None] * probabilities
        first = np.einsum("ij,ij->j", mass, self._standard)
        curvature[index, index] += np.einsum("ij,ij,ij->j", mass, self._standard, self._standard)
        curvature[index, index + classes] += first
        curvature[index + classes, index] += first
        curvature[index + classes, index + classes] += mass.sum(axis=0)
        return _exact_uncertainty(curvature, deviation)


class FullDesign:
    """K rows of K weights and an intercept."""

    def __init__(self, standard: Floats) -> None:
        rows, classes = standard.shape
        self._inputs = np.hstack([standard, np.ones((rows, 1))])
        self._shape = (classes, classes + 1)
        groups = np.full(self._shape, OFF_DIAGONAL)
        groups[np.diag_indices(classes)] = DIAGONAL
        groups[:, classes] = INTERCEPT
        self.groups = groups.ravel()

    def output(self, parameters: Floats) -> Floats:
        """Inputs times weights."""
        return self._inputs @ parameters.reshape(self._shape).T

    def gradient(self, residual: Floats) -> Floats:
        """By each weight."""
        return (residual.T @ self._inputs).ravel()

    def uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """Exact for few classes, else from random probes."""
        if len(self.groups) <= _EXACT_PARAMETERS:
            return _exact_uncertainty(self._curvature(probabilities, weights), deviation)
        return self._probed_uncertainty(probabilities, weights, deviation)

    def _curvature(self, probabilities: Floats, weights: Weights) -> Floats:
        classes, inputs = self._shape
        curvature = np.empty((classes, inputs, classes, inputs))
        for one in range(classes):
            for other in range(one + 1):
                shared = weights * probabilities[:, one] * ((one == other) - probabilities[:, other])
                block = (self._inputs.T * shared) @ self._inputs
                curvature[one, :, other, :] = block
                curvature[other, :, one, :] = block
        return curvature.reshape(classes * inputs, classes * inputs)

    def _probed_uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """Hutchinson's estimates with random signs; the same signs every time, so that a fit repeats."""
        mass = weights[:, None] * probabilities

        def whitened_curvature(vector: Floats) -> Floats:
            change = self.output(vector * deviation)
            change -= np.einsum("ij,ij->i", probabilities, change)[:, None]
            change *= mass
            return vector + deviation * self.gradient(change)

        generator = np.random.default_rng(0)
        remaining, logarithm = np.zeros(len(deviation)), 0.0
        for _ in range(_PROBES):
            signs = generator.choice([-1.0, 1.0], len(deviation))
            solution, quadrature = _solve(whitened_curvature, signs)
            remaining += signs * solution / _PROBES
            logarithm += quadrature / _PROBES
        return Uncertainty(remaining, logarithm)


def _exact_uncertainty(curvature: Floats, deviation: Floats) -> Uncertainty:
    """From the matrix of second derivatives, by Cholesky decomposition."""
    whitened = curvature * deviation
    whitened *= deviation[:, None]
    whitened[np.diag_indices_from(whitened)] += 1
    factor = np.linalg.cholesky(whitened)
    inverse = np.linalg.inv(factor)
    return Uncertainty(np.einsum("ij,ij->j", inverse, inverse), 2 * float(np.log(np.diag(factor)).sum()))


def _solve(apply: Callable[[Floats], Floats], target: Floats) -> tuple[Floats, float]:
    """Conjugate gradients for A x = b, and b' log(A) b by the Gauss quadrature that they carry along.

    Golub & Meurant, "Matrices, moments and quadrature" (1994).
    """
    from scipy.linalg import eigh_tridiagonal

    solution, residual = np.zeros_like(target), target.copy()
    direction, square = residual.copy(), float(residual @ residual)
    first, diagonal, beside = square, [], []
    carried = 0.0
    for _ in range(_SOLVER_STEPS):
        image = apply(direction)
        step = square / float(direction @ image)
        diagonal.append(1 / step + carried)
        solution += step * direction
        residual -= step * image
        before, square = square, float(residual @ residual)
        if square <= _SOLVER_TOLERANCE**2 * first:
            break
        ratio = square / before
        carried = ratio / step
        beside.append(np.sqrt(ratio) / step)
        direction = residual + ratio * direction
    values, vectors = eigh_tridiagonal(diagonal, beside[: len(diagonal) - 1])
    return solution, first * float(np.square(vectors[0]) @ np.log(values))
