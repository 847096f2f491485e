"""The penalised mean cross-entropy of a linear model, and its gradient."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..losses import cross_entropy_grad

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

    Weights are (K, d), or (K, d + 1) with the intercepts, which are not penalised, as the last column.
    """

    def __init__(
        self,
        features: Any,
        label: npt.NDArray[np.int64],
        classes: int,
        sample_weight: Floats,
        penalty: float,
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
        self.strength = np.full(self.shape[1], penalty / self.total)
        self.strength[self.columns :] = 0

    @property
    def is_small(self) -> bool:
        """Whether one product with the features costs less than waking threads for it."""
        return self.label.size * self.shape[0] * self.shape[1] < _SMALL

    def subset(self, rows: npt.NDArray[np.int64]) -> "Objective":
        """The same objective on some of the rows: their mean stands for the mean of all."""
        weight = self.sample_weight[rows]
        penalty = self.penalty * weight.sum() / self.total
        label = self.label[rows]
        return Objective(self.features[rows], label, self.classes, weight, penalty, self.intercept)

    def evaluate(self, weights: Floats) -> Point:
        """Value, gradient and class probabilities at the weights."""
        gradient = self.strength * weights
        value = 0.5 * np.vdot(gradient, weights)
        probability = np.empty((self.label.size, self.classes))
        for rows in self.blocks():
            residual = self._logits(rows, weights, probability[rows])
            label, share = self.label[rows], self.share[rows]
            loss, _ = cross_entropy_grad(residual, label, reduction="none", out=residual)
            value += loss @ share
            gradient += self._transposed(rows, residual * share[:, None])
            residual[np.arange(label.size), label] += 1
        return Point(weights, float(value), gradient, probability)

    def blocks(self) -> list[slice]:
        """The rows in pieces; a sparse matrix is one piece."""
        count = self.label.size
        step = count if not isinstance(self.features, np.ndarray) else max(256, _BLOCK // sum(self.shape))
        return [slice(start, min(start + step, count)) for start in range(0, count, step)]

    def _logits(self, rows: slice, weights: Floats, out: Floats) -> Floats:
        out[...] = self._rows(rows) @ weights[:, : self.columns].T
        if self.intercept:
            out += weights[:, -1]
        return out

    def _transposed(self, rows: slice, values: Floats) -> Floats:
        """values^T [features, 1]."""
        features = self._rows(rows)
        result = np.empty(self.shape)
        result[:, : self.columns] = (features.T @ values).T
        if self.intercept:
            result[:, -1] = values.sum(axis=0)
        return result

    def _rows(self, rows: slice) -> Any:
        return self.features[rows] if isinstance(self.features, np.ndarray) else self.features
