"""The inverted curvature of each class alone, with which conjugate gradients converge in few steps.

The Hessian couples the classes through -p_k p_j; without those blocks it is one (d, d) matrix a class,
X^T diag(s p_k (1 - p_k)) X, which a sample of the rows gives well enough, and which takes the scales and
the correlations of the features out of the problem.
"""

import numpy as np
import numpy.typing as npt

from ._objective import Objective
from ._spans import in_threads

Floats = npt.NDArray[np.float64]

_ROWS = 5_000
_COLUMNS = 600  # above, a Cholesky factor a class costs more than it saves


class Preconditioner:
    """Approximate inverse of the Hessian at given probabilities."""

    def __init__(self, objective: Objective, probability: Floats):
        dense = isinstance(objective.features, np.ndarray) and objective.columns <= _COLUMNS
        self.factors = _factors(objective, probability) if dense else None
        self.diagonal = None if dense else _diagonal(objective, probability)

    def solve(self, gradient: Floats) -> Floats:
        """Return the inverse times a gradient (K, d)."""
        import scipy.linalg

        if self.factors is None:
            assert self.diagonal is not None
            solved = gradient / self.diagonal
        else:
            pairs = zip(self.factors, gradient, strict=True)
            solved = np.stack(
                [scipy.linalg.cho_solve((f, True), row, check_finite=False) for f, row in pairs]
            )
        return without_common_part(solved)


def without_common_part(weights: Floats) -> Floats:
    """Remove the part common to all classes. It changes no probability, and is 0 at the minimum."""
    return weights - weights.mean(axis=0)


def _factors(objective: Objective, probability: Floats) -> list[Floats]:
    import scipy.linalg

    count = objective.label.size
    rows = slice(None, None, max(1, count // _ROWS))
    features, share, p = objective.features[rows], objective.share[rows], probability[rows]
    share = share / max(share.sum(), np.finfo(float).tiny)
    if objective.intercept:
        features = np.column_stack([features, np.ones(features.shape[0])])
    weight = np.sqrt(share[:, None] * p * (1 - p))

    def factor(k: int) -> Floats:
        scaled = features * weight[:, k, None]
        matrix = scaled.T @ scaled
        diagonal = np.diagonal(matrix) + objective.strength
        matrix[np.diag_indices_from(matrix)] = diagonal + _floor(diagonal)
        return scipy.linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)

    return in_threads(factor, range(objective.classes), few=objective.is_small)


def _diagonal(objective: Objective, probability: Floats) -> Floats:
    weight = objective.share[:, None] * probability * (1 - probability)
    features = objective.features
    squared = features**2 if isinstance(features, np.ndarray) else features.multiply(features)
    diagonal = np.tile(objective.strength, (objective.classes, 1))
    diagonal[:, : objective.columns] += (squared.T @ weight).T
    if objective.intercept:
        diagonal[:, -1] += weight.sum(axis=0)
    return diagonal + _floor(diagonal)


def _floor(diagonal: Floats) -> float:
    """Return a floor that keeps a class without curvature (probabilities all 0 or 1) invertible."""
    return 1e-12 * float(diagonal.max()) + np.finfo(float).tiny
