"""Smoothed log-probabilities, on which vector and matrix scaling work instead of the raw logits."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import _graph
from ..activations import softmax
from .base import Weights
from .fit_rows import FitRows, HeldRows
from .temperature_scaling import best_temperature, divide, export_divide

LEAST = 1e-300  # of a temperature or a floor
_MOST_ROWS, _MOST_NUMBERS, _FEWEST_ROWS = 20_000, 5_000_000, 2000  # enough to know two numbers


class Smoothing(NamedTuple):
    """A temperature T > 0 and a floor e in (0, 1): log((1 - e) softmax(x / T) + e / K).

    The floor is the probability that a row says nothing about its label. It keeps the features within
    [log(e / K), 0]: a probability that underflowed, or that a random forest counted as exactly 0, no longer
    dominates a linear fit.
    """

    temperature: float
    floor: float

    def __call__(self, logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the smoothed log-probabilities, shape of `logits`."""
        probability = softmax(divide(logits.astype(np.float64, copy=False), self.temperature))
        probability *= 1 - self.floor
        probability += self.floor / logits.shape[1]
        return np.log(probability, out=probability)

    def to_graph(self, logits: _graph.Tensor, classes: int) -> _graph.Tensor:
        """Return the same in steps of a graph."""
        graph = logits.graph
        probability = _graph.softmax(export_divide(logits.cast(_graph.WIDE), self.temperature))
        # not probability * (1 - floor) + floor / classes: exporters leave out factors that are almost 1
        return (probability + (1 / classes - probability) * graph.fitted("floor", self.floor)).log()

    def toward(self, other: "Smoothing", share: float) -> "Smoothing":
        """Interpolate between this one (share 0) and the other (share 1), on a log scale."""
        between = np.maximum(np.exp((1 - share) * np.log(self) + share * np.log(other)), LEAST)
        return Smoothing(*between.tolist())


def least_floor(weights: Weights) -> float:
    """Return what n rows without an exception still allow, about one in n + 1 (Laplace)."""
    return 1 / (1 + float(weights.sum()))


def veto_floor(weights: Weights) -> float:
    """Return a thousandth of the least floor: too little to cost anything, and still no impossibility."""
    return least_floor(weights) / 1000


def least_smoothing(rows: FitRows) -> Smoothing:
    """Return the least floor that n rows allow, with the temperature of plain temperature scaling."""
    return _least(_enough(rows))


def candidate_smoothings(rows: FitRows) -> list[Smoothing]:
    """Return the smoothings to try: the least one, and the most likely pair of temperature and floor."""
    some = _enough(rows)
    least = _least(some)
    likely = _most_likely(some, least)
    return [least] if likely.floor < 3 * least.floor else [least, likely]


def _enough(rows: FitRows) -> HeldRows:
    """Return a subset of the rows that represents all."""
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, _MOST_NUMBERS // rows.classes))
    stride = max(1, rows.count // most)
    return rows.every(stride).times(stride)


def _least(rows: HeldRows) -> Smoothing:
    temperature, _ = best_temperature(rows)
    return Smoothing(temperature, least_floor(rows.weights))


def _most_likely(some: HeldRows, least: Smoothing) -> Smoothing:
    from scipy.optimize import minimize

    logits, labels, weights = some.logits, some.labels, some.weights
    rows, classes = np.arange(some.count), some.classes
    scaled = divide(logits.astype(np.float64, copy=False), least.temperature)
    scaled = np.maximum(scaled - scaled.max(axis=1, keepdims=True), -1e4)
    scaled = np.ascontiguousarray(scaled.T)  # sums over classes are quick this way round

    def objective(free: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Return minus the log likelihood, with one pseudo-row on the floor, at log(1/T) and logit(e)."""
        tempered = scaled * np.exp(free[0])
        chosen = tempered[labels, rows]
        model = np.exp(tempered)
        sums = model.sum(axis=0)
        mean = np.einsum("ji,ji->i", model, tempered) / sums
        floor = 1 / (1 + np.exp(-free[1]))
        likely = (1 - floor) * np.exp(chosen) / sums
        total = likely + floor / classes
        by_inverse = likely / total * (chosen - mean)
        by_floor = (floor / classes - floor * total) / total
        value = np.sum(weights * np.log(total)) + np.log(floor)
        slope = np.array([np.sum(weights * by_inverse), np.sum(weights * by_floor) + 1 - floor])
        return -value, -slope

    found = [
        minimize(
            objective,
            [0.0, np.log(floor / (1 - floor))],
            jac=True,
            method="L-BFGS-B",
            bounds=[(-4.0, 4.0), (-25.0, 5.0)],
        )
        for floor in (least.floor, 0.03)
    ]
    best = min(found, key=lambda result: result.fun).x
    temperature = max(least.temperature * float(np.exp(-best[0])), LEAST)
    return Smoothing(temperature, float(1 / (1 + np.exp(-best[1]))))
