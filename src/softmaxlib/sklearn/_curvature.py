"""Products with the Hessian of the objective.

They only steer the solver, which judges by the objective itself: single precision is enough, at half
the time. So that it is, the features are centred first: their mean is carried in double precision.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ._objective import Objective

Floats = npt.NDArray[np.float64]

_LARGEST = 1e15  # features beyond it, squared and summed, could leave the range of single precision
_WORTHWHILE = 1 << 20  # fewer features than this are read as fast in double precision


class Curvature:
    """V -> sum_i s_i (diag(p_i) - p_i p_i^T) (V x_i) x_i^T + penalty, for the features of an objective."""

    def __init__(self, objective: Objective):
        self.objective = objective
        features = objective.features
        self.mean = np.zeros(objective.columns)
        self.features = features
        self.dtype = np.dtype(np.float64)
        large = isinstance(features, np.ndarray) and features.size >= _WORTHWHILE
        if large and np.abs(features).max() < _LARGEST:
            self.dtype = np.dtype(np.float32)
            self.mean = features.mean(axis=0)
            self.features = np.empty(features.shape, self.dtype)
            for rows in objective.blocks():
                self.features[rows] = features[rows] - self.mean

    def product(self, probability: npt.NDArray[np.floating], direction: Floats) -> Floats:
        """The Hessian at the probabilities times a direction (K, d)."""
        objective, columns = self.objective, self.objective.columns
        coef = np.ascontiguousarray(direction[:, :columns].T, self.dtype)
        shift = direction[:, :columns] @ self.mean
        if objective.intercept:
            shift += direction[:, -1]
        shift = shift.astype(self.dtype)
        result = objective.strength * direction
        for rows in objective.blocks():
            features = self._rows(rows)
            change = np.asarray(features @ coef)
            change += shift
            change = _apply_softmax_jacobian(probability[rows], change, objective.share[rows])
            totals = change.sum(axis=0, dtype=np.float64)
            result[:, :columns] += (features.T @ change).T + np.outer(totals, self.mean)
            if objective.intercept:
                result[:, -1] += totals
        return result

    def _rows(self, rows: slice) -> Any:
        return self.features[rows] if isinstance(self.features, np.ndarray) else self.features


def _apply_softmax_jacobian(
    p: npt.NDArray[np.floating], change: npt.NDArray[np.floating], share: Floats
) -> npt.NDArray[np.floating]:
    """Rows of s (diag(p) - p p^T) v, in place."""
    change -= np.einsum("ij,ij->i", p, change)[:, None]
    change *= p
    change *= share[:, None].astype(change.dtype)
    return change
