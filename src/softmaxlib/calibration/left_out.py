"""What calibrations say about rows that were left out of their fit."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..activations import log_softmax
from ..losses import cross_entropy
from .base import Calibration, Weights
from .pool_weights import pool_weights
from .smoothing import Smoothing, veto_floor

Logarithms = npt.NDArray[np.float32]  # log-probabilities: half the memory, and digits enough to judge by

_LOWEST = float(np.finfo(np.float32).min)
_NUMBERS_OF_WEIGHTS = 2_000_000  # enough to find the weights of a pool


class Predicted(NamedTuple):
    """What one calibration says about every row, left out."""

    logarithms: Logarithms
    log_loss: float  # weighted mean


class LeftOut(NamedTuple):
    """Rows in folds: each is predicted by a fit on the other folds."""

    logits: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    weights: Weights
    fold: npt.NDArray[np.int64]

    def predict(self, kind: type[Calibration]) -> Predicted:
        """Log-probabilities of every row; each fold's search starts where that of the one before ended."""
        found, loss = np.empty(self.logits.shape, np.float32), 0.0
        neighbour = None
        for part in np.unique(self.fold):
            fit, judge = self.fold != part, self.fold == part
            if not fit.any():  # a single row: nothing can be learned from it and judged by it
                fit = judge
            rows = self.logits[fit], self.labels[fit], self.weights[fit]
            calibration = kind()
            if neighbour is None:
                calibration._fit(*rows)
            else:
                calibration._fit_near(neighbour, *rows)
            calibration.class_count_ = self.logits.shape[1]
            judged = calibration.transform(self.logits[judge])
            found[judge] = np.maximum(log_softmax(judged), _LOWEST)
            loss += float(self.weights[judge] @ _losses(judged, self.labels[judge]))
            neighbour = calibration
        return Predicted(found, loss / float(self.weights.sum()))

    def pool_weights(self, logarithms: Sequence[Logarithms]) -> npt.NDArray[np.float64]:
        """How much each should count in a pool."""
        some = slice(None, None, max(1, self.logits.size // _NUMBERS_OF_WEIGHTS))
        floored = [self._floored(one[some]) for one in logarithms]
        return pool_weights(floored, self.labels[some], self.weights[some])

    def pooled_loss(self, logarithms: Sequence[Logarithms], share: Sequence[float]) -> float:
        """The mean log loss of a pool."""
        total = np.zeros(self.logits.shape, np.float32)
        for one, weight in zip(logarithms, share, strict=True):
            total += np.float32(weight) * self._floored(one)
        return float(self.weights @ _losses(total, self.labels) / self.weights.sum())

    def _floored(self, logarithms: Logarithms) -> Logarithms:
        return Smoothing(1.0, veto_floor(self.weights))(logarithms).astype(np.float32)


def log_loss(
    calibration: Calibration,
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> float:
    """The weighted mean log loss of what a fitted calibration makes of these rows."""
    return float(weights @ _losses(calibration.transform(logits), labels) / weights.sum())


def _losses(logits: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return cross_entropy(logits.astype(np.float64, copy=False), labels, reduction="none")
