"""Predictions of calibrations for rows that were left out of their fit."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..activations import log_softmax
from ..losses import cross_entropy
from .base import Calibration, Weights, Whole
from .blocks import run_together
from .pool_weights import pool_weights
from .smoothing import Smoothing, veto_floor

Logarithms = npt.NDArray[np.float32]  # log-probabilities: half the memory, and digits enough to judge by

_LOWEST = float(np.finfo(np.float32).min)
_NUMBERS_OF_WEIGHTS = 2_000_000  # enough to find the weights of a pool


class Predicted(NamedTuple):
    """The out-of-fold predictions of one calibration."""

    logarithms: Logarithms
    log_loss: float  # weighted mean
    fitted: Calibration | None  # on all rows, where the parts took that


class LeftOut(NamedTuple):
    """Rows in folds: each is predicted by a fit on the other folds."""

    logits: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    weights: Weights
    fold: npt.NDArray[np.int64]

    def predict(self, kinds: Mapping[str, type[Calibration]]) -> dict[str, Predicted]:
        """Predict log-probabilities of every row by each kind, the slowest last."""
        names = list(kinds)[::-1]  # what takes longest begins first
        rows = self.logits, self.labels, self.weights
        wholes = run_together([partial(kinds[name]()._fit_whole, *rows) for name in names])
        parts = [self.fold == part for part in np.unique(self.fold)]
        tasks = [partial(self._predict_part, whole, part) for whole in wholes for part in parts]
        found = iter(run_together(tasks))
        predicted = {}
        for name, whole in zip(names, wholes, strict=True):
            logarithms, loss = np.empty(self.logits.shape, np.float32), 0.0
            for part in parts:
                logarithms[part], lost = next(found)
                loss += lost
            predicted[name] = Predicted(logarithms, loss / float(self.weights.sum()), whole.fitted)
        return {name: predicted[name] for name in kinds}

    def _predict_part(self, whole: Whole, judge: npt.NDArray[np.bool_]) -> tuple[Logarithms, float]:
        """Predict log-probabilities of one fold by a fit on the others, and compute their total loss."""
        fit = np.flatnonzero(~judge)
        if not fit.size:  # a single row: nothing can be learned from it and judged by it
            fit = np.flatnonzero(judge)
        judged = whole.fit_part(fit).transform(self.logits[judge])
        loss = float(np.sum(self.weights[judge] * _losses(judged, self.labels[judge])))
        return np.maximum(log_softmax(judged), _LOWEST).astype(np.float32), loss

    def pool_weights(self, logarithms: Sequence[Logarithms]) -> npt.NDArray[np.float64]:
        """Return how much each should count in a pool."""
        some = slice(None, None, max(1, self.logits.size // _NUMBERS_OF_WEIGHTS))
        floored = [self._floored(one[some]) for one in logarithms]
        return pool_weights(floored, self.labels[some], self.weights[some])

    def pooled_loss(self, logarithms: Sequence[Logarithms], share: Sequence[float]) -> float:
        """Return the mean log loss of a pool."""
        total = np.zeros(self.logits.shape, np.float32)
        for one, weight in zip(logarithms, share, strict=True):
            total += np.float32(weight) * self._floored(one)
        return float(np.sum(self.weights * _losses(total, self.labels)) / self.weights.sum())

    def _floored(self, logarithms: Logarithms) -> Logarithms:
        return Smoothing(1.0, veto_floor(self.weights))(logarithms).astype(np.float32)


def log_loss(
    calibration: Calibration,
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> float:
    """Return the weighted mean log loss of a fitted calibration on these rows."""
    return float(np.sum(weights * _losses(calibration.transform(logits), labels)) / weights.sum())


def _losses(logits: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return cross_entropy(logits.astype(np.float64, copy=False), labels, reduction="none")
