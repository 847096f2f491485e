"""Costs of every threshold of two classes, with the threshold of a rule."""

import numpy as np

from ..metrics import CostThresholdCurve, cost_threshold_curve
from .decision import Floats
from .outcomes import Outcomes


def threshold_costs(cost: Floats, outcomes: Outcomes) -> CostThresholdCurve | None:
    """Return the mean cost of a row at every threshold.

    None where the cost is not that of a threshold: for more than two classes, for costs of which a mistake is
    not the larger, and for rows of one class alone.

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
    return curve._replace(cost=curve.cost + outcomes.mean(cost[labels, labels]))
