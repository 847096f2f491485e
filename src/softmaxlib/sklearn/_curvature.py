"""Products with the Hessian of the objective.

They only steer the solver, which judges by the objective itself: single precision is enough, at half
the time. So that it is, the features are centred first: their mean is carried in double precision.
"""

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
        large = isinstance(features, np.ndarray) and features.size >= _WORTHWHILE
        if large and max(features.max(), -features.min()) < _LARGEST:
            self.mean = features.mean(axis=0)
            self.features = np.empty(features.shape, np.float32)
            objective.spans.map(self._centre)
        # Classes first, so that operations on a block run along its many rows.
        shape = (objective.classes, objective.label.size)
        self.probability: npt.NDArray[np.floating] = np.empty(shape, self.features.dtype)
        self.weighted = np.empty_like(self.probability)

    def move_to(self, probability: Floats) -> None:
        """Take the Hessian at these probabilities from now on."""

        def fill(span: slice) -> None:
            for rows in self.objective.blocks(span):
                self.probability[:, rows] = probability[rows].T
                np.multiply(
                    self.probability[:, rows],
                    self.objective.share[rows],
                    out=self.weighted[:, rows],
                    casting="same_kind",
                )

        self.objective.spans.map(fill)

    def product(self, direction: Floats) -> Floats:
        """Return the Hessian times a direction (K, d)."""
        objective, columns = self.objective, self.objective.columns
        coef = np.ascontiguousarray(direction[:, :columns], self.features.dtype)
        shift = direction[:, :columns] @ self.mean
        if objective.intercept:
            shift += direction[:, -1]
        shift = shift.astype(self.features.dtype)[:, None]

        def span_product(span: slice) -> Floats:
            result = np.zeros((objective.classes, columns + 1))
            for rows in objective.blocks(span):
                features = self.features[rows]
                change = np.asarray(coef @ features.T)
                change += shift
                change -= (self.probability[:, rows] * change).sum(axis=0)
                change *= self.weighted[:, rows]
                result[:, :columns] += change @ features
                result[:, -1] += change.sum(axis=1, dtype=np.float64)
            return result

        products = np.sum(objective.spans.map(span_product), axis=0)
        result = objective.strength * direction
        result[:, :columns] += products[:, :columns] + np.outer(products[:, -1], self.mean)
        if objective.intercept:
            result[:, -1] += products[:, -1]
        return result

    def _centre(self, span: slice) -> None:
        for rows in self.objective.blocks(span):
            self.features[rows] = self.objective.features[rows] - self.mean
