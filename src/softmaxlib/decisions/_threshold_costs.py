"""Costs of every threshold of two classes, with the threshold of a rule."""

import numpy as np

from ..metrics import CostThresholdCurve, cost_threshold_curve
from .decision import Floats
from .outcomes import Outcomes

_POINTS = 200  # of each of two kinds


def threshold_costs(cost: Floats, outcomes: Outcomes) -> CostThresholdCurve | None:
    """Return the mean cost of a row at every threshold, at most some 400 points.

    None where no threshold tells two classes apart: for more of them, for costs of which a mistake is not the
    larger, and for rows of one class alone.

    Parameters
    ----------
    cost : ndarray, shape (classes, actions)
        ``cost[k, a]`` is what action a, which is to take class a, costs where the truth is class k.
    outcomes : Outcomes
        The rows.
    """
    labels, weights = outcomes.labels, outcomes.sample_weight
    if cost.shape != (2, 2) or not (cost[0, 1] > cost[0, 0] and cost[1, 0] > cost[1, 1]):
        return None
    counted = labels if weights is None else labels[weights > 0]
    if np.unique(counted).size < 2:
        return None
    curve = cost_threshold_curve(
        outcomes.probabilities,
        labels,
        false_positive=cost[0, 1] - cost[0, 0],
        false_negative=cost[1, 0] - cost[1, 1],
        sample_weight=weights,
        probabilities=True,
    )
    some = _some_points(curve)
    of_right = outcomes.mean(cost[labels, labels])
    return CostThresholdCurve(curve.cost[some] + of_right, curve.threshold[some])


def _some_points(curve: CostThresholdCurve) -> np.ndarray:
    """Return the cheapest point, the ends, and points by share of rows and by the log of the threshold."""
    points = len(curve.cost)
    if points <= 2 * _POINTS:
        return np.arange(points)
    by_rows = np.linspace(0, points - 1, _POINTS).round().astype(np.int64)
    fall = -np.log(np.maximum(curve.threshold[1:], 1e-300))
    by_threshold = 1 + np.searchsorted(fall, np.linspace(fall[0], fall[-1], _POINTS))
    chosen = np.concatenate([by_rows, np.minimum(by_threshold, points - 1), [np.argmin(curve.cost)]])
    return np.unique(chosen)
