"""The penalised mean cross-entropy of a linear model, and its gradient."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..losses import cross_entropy_grad

Floats = npt.NDArray[np.float64]


class Objective:
    """sum_i s_i loss_i / S + penalty / (2 S) |W|^2, with S the sum of the sample weights s.

    Parameters are one vector: the weights (K, d + 1), the last column the intercepts when there are any.
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
        self.intercept = intercept
        self.coef_shape = (classes, features.shape[1])
        self.shape = (classes, features.shape[1] + intercept)
        self.size = self.shape[0] * self.shape[1]
        self.share = sample_weight / sample_weight.sum()
        self.penalty = penalty / sample_weight.sum()

    def __call__(self, parameters: Floats) -> tuple[float, Floats]:
        """The objective and its gradient."""
        weights = parameters.reshape(self.shape)
        coef = weights[:, : self.coef_shape[1]]
        logits = np.asarray(self.features @ coef.T)
        if self.intercept:
            logits += weights[:, -1]
        loss, residual = cross_entropy_grad(logits, self.label, reduction="none", out=logits)
        residual *= self.share[:, None]
        gradient = np.empty(self.shape)
        gradient[:, : self.coef_shape[1]] = (self.features.T @ residual).T + self.penalty * coef
        if self.intercept:
            gradient[:, -1] = residual.sum(axis=0)
        value = loss @ self.share + 0.5 * self.penalty * np.vdot(coef, coef)
        return float(value), gradient.ravel()

    def unpack(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Weights (K, d) and intercepts (K,)."""
        weights = parameters.reshape(self.shape)
        intercept = weights[:, -1].copy() if self.intercept else np.zeros(self.shape[0])
        return weights[:, : self.coef_shape[1]].copy(), intercept

    def pack(self, coef: Floats, intercept: Floats) -> Floats:
        """The inverse of `unpack`."""
        return (np.column_stack([coef, intercept]) if self.intercept else coef).ravel()
