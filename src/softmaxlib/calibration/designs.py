"""Which parameters a linear correction has, how they move the logits, and what the data say about them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .base import Weights
from .blocks import sum_over_blocks
from .conditioning import BlockCurvature, Curvature, DiagonalCurvature, factor_above_identity

Floats = npt.NDArray[np.float64]

INTERCEPT, DIAGONAL, OFF_DIAGONAL, COMMON = range(4)

_EXACT_PARAMETERS = 1200  # up to here the full matrix of second derivatives is cheap
_DENSE_PARAMETERS, _MOST_BLOCKS = 450, 200  # the same for a search; classes up to which each has a block
_BLOCK = 1 << 16  # numbers worked on at a time
_PRODUCT = 1 << 18  # multiplications, up to which BLAS takes one thread: ours wait for each other less often
_SHORTEST = 256
_PROBES = 4
_SOLVER_STEPS = 50
_SOLVER_TOLERANCE = 3e-3
_SOLVER_LEAST = 1e-300  # of an eigenvalue, which rounding may take below 0


class Features(NamedTuple):
    """Smoothed log-probabilities z = center + size * standard."""

    standard: Floats  # (rows, classes)
    center: Floats  # (classes,)
    size: float

    @classmethod
    def of(cls, logits: Floats, weights: Weights) -> "Features":
        """From smoothed log-probabilities, shape (rows, classes): standard with mean 0 and size 1.

        Rows that are certain hardly move the fit, so that center and size are taken with weights 1 - sum p^2.
        """
        probability = np.exp(logits)
        doubt = weights * (1 - np.einsum("ij,ij->i", probability, probability) + 1e-9)
        doubt /= doubt.sum()
        center = doubt @ logits
        standard = logits - center
        size = float(np.sqrt(doubt @ np.einsum("ij,ij->i", standard, standard) / logits.shape[1])) or 1.0
        standard /= size
        return cls(standard, center, size)

    def about_certainty(self) -> "Features":
        """The same with the center at 0, which is log(1)."""
        return Features(self.standard + self.center / self.size, np.zeros_like(self.center), self.size)

    def of_rows(self, rows: slice) -> "Features":
        """Some of the rows."""
        return self._replace(standard=self.standard[rows])


class Linear(NamedTuple):
    """Calibrated logits = weight applied to z + intercept."""

    weight: Floats  # (classes,) or (classes, classes)
    intercept: Floats  # (classes,)


class Uncertainty(NamedTuple):
    """What the data leave open."""

    remaining: Floats  # posterior variance / prior variance of each parameter
    log_determinant: float  # of (prior precision + curvature) / prior precision


class Design(ABC):
    """A set of parameters and how they move the logits; the last one is a factor that all classes share."""

    groups: npt.NDArray[np.int64]  # of each parameter
    block: int  # rows best taken at a time

    def __init__(self, features: Features) -> None:
        self.features = features

    @abstractmethod
    def calibrated(self, parameters: Floats, rows: slice) -> Floats:
        """The corrected logits, (rows, classes)."""

    @abstractmethod
    def linear(self, parameters: Floats) -> Linear:
        """The same, as a function of the smoothed log-probabilities."""

    @abstractmethod
    def gradient(self, residual: Floats, rows: slice) -> Floats:
        """The derivative of sum(residual * calibrated) by each parameter."""

    @abstractmethod
    def diagonal_curvature(self, mass: Floats, rows: slice) -> Floats:
        """sum(mass * (derivative of calibrated by a parameter)^2), for each parameter."""

    @abstractmethod
    def curvature(self, probabilities: Floats, weights: Weights, rows: slice) -> Curvature:
        """The second derivatives of the loss of these rows, as many of them as are cheap."""

    @abstractmethod
    def uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """What the likelihood at these probabilities leaves open under this prior."""

    def total(self, part: Callable[[slice], Floats]) -> Floats:
        """The sum of `part` over all rows, which are taken as suits this design."""
        return sum_over_blocks(len(self.features.standard), self.block, lambda: part)


class DiagonalDesign(Design):
    """K factors, K intercepts, and the common factor."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        classes = features.standard.shape[1]
        self.block = max(1, _BLOCK // classes)
        self.groups = np.repeat([DIAGONAL, INTERCEPT, COMMON], [classes, classes, 1])

    def calibrated(self, parameters: Floats, rows: slice) -> Floats:
        """Features times factor, plus intercept."""
        scale, intercept = np.split(parameters[:-1], 2)
        output = self.features.standard[rows] * (self.features.size + parameters[-1] + scale)
        output += self.features.center + intercept
        return output

    def linear(self, parameters: Floats) -> Linear:
        """One weight a class."""
        scale, intercept = np.split(parameters[:-1], 2)
        weight = 1 + (scale + parameters[-1]) / self.features.size
        return Linear(weight, self.features.center * (1 - weight) + intercept)

    def gradient(self, residual: Floats, rows: slice) -> Floats:
        """By factors, intercepts, and their common factor."""
        scale = np.einsum("ij,ij->j", residual, self.features.standard[rows])
        return np.concatenate([scale, residual.sum(axis=0), [scale.sum()]])

    def diagonal_curvature(self, mass: Floats, rows: slice) -> Floats:
        """As the gradient, with squares."""
        standard = self.features.standard[rows]
        scale = np.einsum("ij,ij,ij->j", mass, standard, standard)
        return np.concatenate([scale, mass.sum(axis=0), [scale.sum()]])

    def curvature(self, probabilities: Floats, weights: Weights, rows: slice) -> Curvature:
        """All second derivatives; with very many classes, those by each parameter alone."""
        if len(self.groups) <= _EXACT_PARAMETERS:
            return _dense(self._second_derivatives(probabilities, weights, rows))
        mass = weights[:, None] * probabilities * (1 - probabilities)
        return DiagonalCurvature(self.diagonal_curvature(mass, rows))

    def uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """From all second derivatives; with very many classes, from those within a class."""
        every = slice(None)
        if len(self.groups) <= _EXACT_PARAMETERS:
            return _exact_uncertainty(self._second_derivatives(probabilities, weights, every), deviation)

        def moments(rows: slice) -> Floats:
            mass = weights[rows, None] * probabilities[rows]
            mass *= 1 - probabilities[rows]
            return np.stack(self._moments(mass, rows))

        square, mixed, plain = self.total(moments)
        return _uncertainty_by_class(square, mixed, plain, deviation)

    def _moments(self, mass: Floats, rows: slice) -> tuple[Floats, Floats, Floats]:
        """By class: the sums of mass times the square of the feature, the feature, and one."""
        standard = self.features.standard[rows]
        square = np.einsum("ij,ij,ij->j", mass, standard, standard)
        return square, np.einsum("ij,ij->j", mass, standard), mass.sum(axis=0)

    def _second_derivatives(self, probabilities: Floats, weights: Weights, rows: slice) -> Floats:
        standard = self.features.standard[rows]
        square, mixed, plain = self._moments(weights[:, None] * probabilities, rows)
        moved = np.hstack([probabilities * standard, probabilities])
        curvature = -(moved.T * weights) @ moved
        factor, offset = np.split(np.arange(2 * len(plain)), 2)
        curvature[factor, factor] += square
        curvature[factor, offset] += mixed
        curvature[offset, factor] += mixed
        curvature[offset, offset] += plain
        return _with_common(curvature, self.groups)


class FullDesign(Design):
    """K rows of K weights and an intercept, and the common factor."""

    def __init__(self, features: Features) -> None:
        super().__init__(features)
        rows, classes = features.standard.shape
        self._inputs = np.hstack([features.standard, np.ones((rows, 1))])
        self._shape = (classes, classes + 1)
        self.block = _PRODUCT // (classes * (classes + 1))
        if self.block < _SHORTEST:
            self.block = max(1, rows)  # a product of large matrices makes its own blocks
        groups = np.full(self._shape, OFF_DIAGONAL)
        groups[np.diag_indices(classes)] = DIAGONAL
        groups[:, classes] = INTERCEPT
        self.groups = np.append(groups.ravel(), COMMON)

    def calibrated(self, parameters: Floats, rows: slice) -> Floats:
        """Inputs times weights."""
        weight = self._weight(parameters)
        weight[np.diag_indices(len(weight))] += self.features.size
        weight[:, -1] += self.features.center
        return self._inputs[rows] @ weight.T

    def linear(self, parameters: Floats) -> Linear:
        """One weight a pair of classes."""
        weight = self._weight(parameters)
        change, intercept = weight[:, :-1] / self.features.size, weight[:, -1]
        return Linear(np.eye(len(change)) + change, intercept - change @ self.features.center)

    def gradient(self, residual: Floats, rows: slice) -> Floats:
        """By each weight, and by their common factor."""
        weight = residual.T @ self._inputs[rows]
        return np.append(weight.ravel(), np.trace(weight))

    def diagonal_curvature(self, mass: Floats, rows: slice) -> Floats:
        """As the gradient, with squares."""
        weight = mass.T @ np.square(self._inputs[rows])
        return np.append(weight.ravel(), np.trace(weight))

    def curvature(self, probabilities: Floats, weights: Weights, rows: slice) -> Curvature:
        """All second derivatives; with more classes those within one, or by each parameter alone."""
        if len(self.groups) <= _DENSE_PARAMETERS:
            return _dense(self._second_derivatives(probabilities, weights, rows))
        mass = weights[:, None] * probabilities * (1 - probabilities)
        if self._shape[0] > _MOST_BLOCKS:
            return DiagonalCurvature(self.diagonal_curvature(mass, rows))
        inputs, every = self._inputs[rows], np.arange(self._shape[0])
        blocks = np.stack([(inputs.T * column) @ inputs for column in mass.T])
        return BlockCurvature(blocks, np.array([blocks[every, every, every].sum()]))

    def uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """Exact for few classes, else from random probes."""
        if len(self.groups) <= _EXACT_PARAMETERS:
            curvature = self._second_derivatives(probabilities, weights, slice(None))
            return _exact_uncertainty(curvature, deviation)
        return self._probed_uncertainty(probabilities, weights, deviation)

    def _weight(self, parameters: Floats) -> Floats:
        weight = parameters[:-1].reshape(self._shape).copy()
        weight[np.diag_indices(len(weight))] += parameters[-1]
        return weight

    def _second_derivatives(self, probabilities: Floats, weights: Weights, rows: slice) -> Floats:
        classes, length = self._shape
        inputs, mass = self._inputs[rows], weights[:, None] * probabilities
        curvature = np.zeros((classes, length, classes, length))
        for start in range(0, len(inputs), _BLOCK // length):  # what an outer product moves fits in the cache
            some = slice(start, start + _BLOCK // length)
            moved = probabilities[some, :, None] * inputs[some, None, :]
            moved *= np.sqrt(weights[some])[:, None, None]
            moved = moved.reshape(len(moved), -1)
            curvature -= (moved.T @ moved).reshape(curvature.shape)
        for one in range(classes):
            curvature[one, :, one, :] += (inputs.T * mass[:, one]) @ inputs
        return _with_common(curvature.reshape(classes * length, classes * length), self.groups)

    def _probed_uncertainty(self, probabilities: Floats, weights: Weights, deviation: Floats) -> Uncertainty:
        """Hutchinson's estimates with random signs; the same signs every time, so that a fit repeats.

        The matrix is divided by its diagonal on both sides first, which brings it close to the identity.
        """
        every, mass = slice(None), weights[:, None] * probabilities
        diagonal = 1 + deviation**2 * self.diagonal_curvature(mass * (1 - probabilities), every)
        unit = diagonal**-0.5

        def curvature(vector: Floats) -> Floats:
            change = self._inputs @ self._weight(vector * unit * deviation).T
            change -= np.einsum("ij,ij->i", probabilities, change)[:, None]
            change *= mass
            return unit * (unit * vector + deviation * self.gradient(change, every))

        generator = np.random.default_rng(0)
        remaining, logarithm = np.zeros(len(deviation)), float(np.log(diagonal).sum())
        for _ in range(_PROBES):
            signs = generator.choice([-1.0, 1.0], len(deviation))
            solution, quadrature = _solve(curvature, signs)
            remaining += signs * solution / diagonal / _PROBES
            logarithm += quadrature / _PROBES
        return Uncertainty(remaining, logarithm)


def _dense(matrix: Floats) -> Curvature:
    return BlockCurvature(matrix[None], np.empty(0))


def _with_common(curvature: Floats, groups: npt.NDArray[np.int64]) -> Floats:
    """The matrix of second derivatives, and those by the common factor, which moves the whole diagonal."""
    diagonal = groups[:-1] == DIAGONAL
    column = curvature @ diagonal
    return np.block([[curvature, column[:, None]], [column[None, :], diagonal @ column]])


def _exact_uncertainty(curvature: Floats, deviation: Floats) -> Uncertainty:
    """From the matrix of second derivatives, by Cholesky decomposition."""
    whitened = curvature * deviation
    whitened *= deviation[:, None]
    whitened[np.diag_indices_from(whitened)] += 1
    factor = factor_above_identity(whitened)
    inverse = np.linalg.inv(factor)
    return Uncertainty(np.einsum("ij,ij->j", inverse, inverse), 2 * float(np.log(np.diag(factor)).sum()))


def _uncertainty_by_class(square: Floats, mixed: Floats, plain: Floats, deviation: Floats) -> Uncertainty:
    """From the second derivatives by one class's factor and intercept, those between classes left out.

    Between two of a thousand classes they are of the size p q, which is small beside p.
    """
    by_factor, by_intercept = np.split(deviation[:-1], 2)
    first, second = 1 + square * by_factor**2, 1 + plain * by_intercept**2
    between = mixed * by_factor * by_intercept
    determinant = first * second - between**2
    common = 1 + square.sum() * deviation[-1] ** 2
    remaining = np.concatenate([second / determinant, first / determinant, [1 / common]])
    return Uncertainty(remaining, float(np.log(determinant).sum() + np.log(common)))


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
        bend = float(direction @ image)
        if not bend > 0:  # rounding alone: the matrix has no direction without curvature
            break
        step = square / bend
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
    if not diagonal:
        return solution, 0.0
    values, vectors = eigh_tridiagonal(diagonal, beside[: len(diagonal) - 1])
    return solution, first * float(np.square(vectors[0]) @ np.log(np.maximum(values, _SOLVER_LEAST)))
