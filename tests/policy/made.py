"""Rows of a model that is exactly right, where hardly anything is rare enough."""

import numpy as np

from softmaxlib import Policy, softmax
from softmaxlib.calibration import Identity, TemperatureScaling
from softmaxlib.decisions import MinimumCost

Rows = tuple[np.ndarray, np.ndarray]


def rare_positives(rows: int, generator: np.random.Generator) -> Rows:
    """Two classes, the second one in 0.6 % of the rows."""
    positive = generator.normal(-6.2, 1.5, rows)
    return labelled(np.stack([np.zeros(rows), positive], axis=1), generator)


def sure_classes(rows: int, generator: np.random.Generator) -> Rows:
    """Ten classes, the most likely one right in 97 % of the rows."""
    logits = generator.normal(size=(rows, 10))
    logits[np.arange(rows), generator.integers(10, size=rows)] += 7 + 2 * generator.normal(size=rows)
    return labelled(logits, generator)


def labelled(logits: np.ndarray, generator: np.random.Generator) -> Rows:
    below = softmax(logits).cumsum(axis=1) < generator.random((len(logits), 1))
    return logits, np.minimum(below.sum(axis=1), logits.shape[1] - 1)


def simulated(rows, seed=0, sharpness=1.0, classes=4):
    """Logits whose softmax is exactly right when sharpness is 1."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    labels = (softmax(logits).cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    return sharpness * logits, np.minimum(labels, classes - 1)


def fitted(rule=None, rows=2000, **options):
    logits, labels = simulated(rows)
    rule = rule or MinimumCost(1 - np.eye(4), abstain_cost=0.3)
    return Policy(TemperatureScaling(), rule).fit(logits, labels, **options)


def fitted_on(rows, rule):
    return Policy(Identity(), rule).fit(*rows)
