"""Prediction sets in steps of a graph."""

from typing import TYPE_CHECKING

import numpy as np

from .._graph import INTEGER, WIDE, Tensor
from .decision import NO_ACTION
from .exported_decision import ExportedDecision

if TYPE_CHECKING:
    from .prediction_sets import PredictionSets


def export_sets(rule: "PredictionSets", probabilities: Tensor, classes: int) -> ExportedDecision:
    """Add the steps of `PredictionSets.decide` to a graph.

    Nothing is ruled out in a row of an unknown group, or with a number that is not in [0, 1] for what is
    drawn at random.
    """
    graph, wide = probabilities.graph, probabilities.cast(WIDE)
    uniform = graph.constant(0.0 if rule.include_last else 1.0)
    if rule.randomized:
        uniform = graph.input("uniform", WIDE)
    # a class is not ruled out by rounding: its score often equals the threshold that was fitted
    scores = _nonconformity(rule, wide, uniform, classes)
    sets = scores - probabilities.rounding((1.0 - scores).abs()) <= _thresholds(rule, wide, classes)
    if rule.randomized:
        sets = sets | ~((uniform >= 0.0) & (uniform <= 1.0))
    if not rule.allow_empty:
        is_top = graph.columns(classes).equals(probabilities.row_argmax())
        sets = sets | (is_top & ~sets.row_any())
    is_single = sets.cast(INTEGER).row_sum().equals(1)
    return ExportedDecision(is_single.where(sets.row_argmax(), NO_ACTION), sets=sets)


def _thresholds(rule: "PredictionSets", probabilities: Tensor, classes: int) -> Tensor:
    """Return the thresholds of the scores: one per row, or one per class."""
    graph = probabilities.graph
    if not rule.takes_groups:
        return graph.fitted("set_thresholds", rule._within().thresholds(rule.thresholds_, 0, None))
    names = rule.group_names_ or ()
    group = graph.input("group", INTEGER, names=names)
    unknown = len(names)
    place = ((group >= 0) & (group < unknown)).where(group, unknown)
    return graph.fitted("set_thresholds", np.append(rule.thresholds_, np.inf)).take(place)


def _nonconformity(rule: "PredictionSets", probabilities: Tensor, uniform: Tensor, classes: int) -> Tensor:
    """Add the steps of `nonconformity` to a graph."""
    if rule.score == "lac":
        return 1.0 - probabilities
    ordered, order = probabilities.sorted()
    return _of_ordered(rule, ordered, uniform, np.arange(1, classes + 1)[None]).put_back(order)


def _of_ordered(rule: "PredictionSets", ordered: Tensor, uniform: Tensor, rank: np.ndarray) -> Tensor:
    graph = ordered.graph
    if rule.score == "saps":
        first, is_first = ordered.row_max(), graph.constant(rank).equals(1.0)
        beyond = first + (graph.constant(rank - 2) + uniform) * rule.penalty
        return is_first.where(uniform * first, beyond)
    scores = ordered.cumulative_sum() - (1.0 - uniform) * ordered
    if rule.score == "raps":
        scores = scores + graph.constant(rule.penalty * np.maximum(rank - rule.penalty_rank, 0))
    return scores
