"""Traces of a large matrix, estimated from its products with random vectors."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .conditioning import Coordinates
from .designs import Evidence, Floats, sums_of_groups

_PROBES = 4
_STEPS = 50
_TOLERANCE = 3e-3
_LEAST = 1e-300  # of an eigenvalue, which rounding may take below 0


def probed_evidence(
    curve: Callable[[Floats], Floats],
    groups: npt.NDArray[np.int64],
    precision: Floats,
    near: Coordinates,
) -> Evidence:
    """Compute Hutchinson's estimates with random signs, always the same so that a fit is reproducible.

    They are taken in coordinates that bring the matrix close to the identity; of what is known exactly of the
    matrix that the coordinates belong to, only the difference is estimated.

    Parameters
    ----------
    curve : callable
        The second derivatives of the loss, times each column of a matrix (parameters, probes).
    groups : array of int, shape (parameters,)
    precision : array, shape (parameters,)
        Of the prior.
    near : Coordinates
        In which curvature + precision is nearly the identity.
    """

    def apply(place: Floats) -> Floats:
        probes = near.parameters(place)
        return near.slope(curve(probes) + precision[:, None] * probes)

    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(groups), _PROBES))
    solution, logarithms = _solve(apply, signs)
    difference = near.parameters(signs) * near.parameters(solution - signs)
    variances = near.variances() + difference.mean(axis=1)
    known = sums_of_groups(groups, 1 - precision * variances)
    determinant = near.log_determinant - float(np.log(precision).sum()) + float(logarithms.mean())
    return Evidence(known, determinant)


def _solve(apply: Callable[[Floats], Floats], target: Floats) -> tuple[Floats, Floats]:
    """Solve A x = b by conjugate gradients, and compute b' log(A) b by their Gauss quadrature.

    For each column b of the target. Golub & Meurant, "Matrices, moments and quadrature" (1994).
    """
    solution, residual = np.zeros_like(target), target.copy()
    direction, square = residual.copy(), _squares(residual, residual)
    first, before = square, np.zeros_like(square)
    diagonal: list[Floats] = []
    beside: list[Floats] = []
    carried, lengths = np.zeros_like(square), np.zeros(len(square), np.int64)
    open_still = square > 0
    for _ in range(_STEPS):
        image = apply(direction)
        bend = _squares(direction, image)
        open_still &= bend > 0  # else rounding alone: the matrix has no direction without curvature
        if not open_still.any():
            break
        lengths += open_still
        step = np.where(open_still, square / np.where(open_still, bend, 1.0), 0.0)
        diagonal.append(np.where(open_still, 1 / np.where(open_still, step, 1.0) + carried, 1.0))
        solution += step * direction
        residual -= step * image
        before, square = square, _squares(residual, residual)
        open_still &= square > _TOLERANCE**2 * first
        if not open_still.any():
            break
        ratio = np.where(open_still, square / before, 0.0)
        carried = np.where(open_still, ratio / np.where(open_still, step, 1.0), 0.0)
        beside.append(np.where(open_still, np.sqrt(ratio) / np.where(open_still, step, 1.0), 0.0))
        direction = residual + ratio * direction
    return solution, first * [
        _logarithm([row[one] for row in diagonal[:length]], [row[one] for row in beside[: length - 1]])
        for one, length in enumerate(lengths.tolist())
    ]


def _logarithm(diagonal: list[float], beside: list[float]) -> float:
    """Return the first entry of the logarithm of a tridiagonal matrix."""
    if not diagonal:
        return 0.0
    matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    values, vectors = np.linalg.eigh(matrix)
    return float(np.square(vectors[0]) @ np.log(np.maximum(values, _LEAST)))


def _squares(left: Floats, right: Floats) -> Floats:
    """Return the scalar product of each column."""
    return np.einsum("ij,ij->j", left, right)
