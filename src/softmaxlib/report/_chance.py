"""The calibration error that chance alone gives: a stand-in until metrics has the test."""

from typing import NamedTuple

import numpy as np

from .._arrays import FloatArray, IntArray
from ..activations import softmax


class CalibrationTest(NamedTuple):
    """The error under perfect calibration, and the chance of one as large as found."""

    null: FloatArray
    p_value: float


def calibration_test(logits: FloatArray, labels: IntArray, *, simulations: int, seed: int) -> CalibrationTest:
    """Draw outcomes from the stated confidences and compare the 15-bin error."""
    confidence = softmax(logits).max(axis=1).astype(np.float64)
    hit = logits.argmax(axis=1) == labels
    bins = np.clip(np.ceil(confidence * 15).astype(np.int64) - 1, 0, 14)

    def error(outcome: np.ndarray) -> float:
        return float(np.abs(np.bincount(bins, confidence - outcome, minlength=15)).sum() / len(outcome))

    generator = np.random.default_rng(seed)
    null = np.array([error(generator.random(len(hit)) < confidence) for _ in range(simulations)])
    return CalibrationTest(null, (1 + int((null >= error(hit)).sum())) / (1 + simulations))
