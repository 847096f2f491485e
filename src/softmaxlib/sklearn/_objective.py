"""The penalised mean cross-entropy of a linear model, and its gradient."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..losses import cross_entropy_grad
from ._spans import Spans, blocks

Floats = npt.NDArray[np.float64]

_SMALL = 1 << 24
_BLOCK = 1 << 17  # numbers of a block of rows: features and logits stay in the second-level cache


class Point(NamedTuple):
    """The objective at some weights."""

    weights: Floats
    value: float
    gradient: Floats
    probability: Floats


class Objective:
    """sum_i s_i loss_i / S + penalty / (2 S) |W|^2, with S the sum of the sample weights s.

    Weights are (K, d), or (K, d + 1) with the intercepts, which are not penalised, as the last column. The
    penalty is one number, or one per feature.
    """

    def __init__(
        self,
        features: Any,
        label: npt.NDArray[np.int64],
        classes: int,
        sample_weight: Floats,
        penalty: float | Floats,
        intercept: bool,
    ):
        self.features = features
        self.label = label
        self.sample_weight = sample_weight
        self.intercept = intercept
        self.classes = classes
        self.columns = features.shape[1]
        self.shape = (classes, self.columns + intercept)
        self.total = sample_weight.sum()
        self.share = sample_weight / self.total
        self.penalty = penalty
        self.strength = np.zeros(self.shape[1])
        self.strength[: self.columns] = penalty / self.total
        self.spans = Spans(label.size, few=self.is_small)

    @property
    def is_small(self) -> bool:
        """True if one product with the features costs less than waking threads."""
        return self.label.size * self.shape[0] * self.shape[1] < _SMALL

    def subset(self, rows: npt.NDArray[np.int64]) -> "Objective":
        """Return the same objective on some of the rows: their mean stands for the mean of all."""
        weight = self.sample_weight[rows]
        penalty = self.penalty * weight.sum() / self.total
        label = self.label[rows]
        return Objective(self.features[rows], label, self.classes, weight, penalty, self.intercept)

    def evaluate(self, weights: Floats) -> Point:
        """Return value, gradient and class probabilities at the weights."""
        residual = self._logits(weights)
        losses, _ = cross_entropy_grad(residual, self.label, reduction="none", out=residual)
        gradient = self.strength * weights
        value = losses @ self.share + 0.5 * np.vdot(gradient, weights)
        gradient += self._transposed(residual)
        residual[np.arange(self.label.size), self.label] += 1
        return Point(weights, float(value), gradient, residual)

    def blocks(self, rows: slice) -> list[slice]:
        """Return a span in pieces that stay in the cache; of a sparse matrix, as it is."""
        if not isinstance(self.features, np.ndarray):
            return [rows]
        return blocks(rows, max(256, _BLOCK // sum(self.shape)))

    def _logits(self, weights: Floats) -> Floats:
        result = np.empty((self.label.size, self.classes))
        coef = np.ascontiguousarray(weights[:, : self.columns].T)

        def fill(span: slice) -> None:
            for rows in self.blocks(span):
                result[rows] = self.features[rows] @ coef
                if self.intercept:
                    result[rows] += weights[:, -1]

        self.spans.map(fill)
        return result

    def _transposed(self, values: Floats) -> Floats:
        """Compute (share * values)^T [features, 1]."""

        def product(span: slice) -> Floats:
            result = np.zeros(self.shape)
            for rows in self.blocks(span):
                part = values[rows] * self.share[rows, None]
                result[:, : self.columns] += (self.features[rows].T @ part).T
                if self.intercept:
                    result[:, -1] += part.sum(axis=0)
            return result

        return np.sum(self.spans.map(product), axis=0)
