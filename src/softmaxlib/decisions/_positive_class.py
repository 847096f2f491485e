"""The second of two classes, where its probability reaches a threshold."""

import numpy as np

from .._arrays import FloatArray
from .._graph import Tensor
from ._row_blocks import highest
from .decision import Decision
from .exported_decision import ExportedDecision


def take_positive(probabilities: FloatArray, threshold: float) -> Decision:
    """Decide rows of two classes, without setting any aside."""
    # not the ratio of probability and threshold, which `Threshold` compares: rounded, none may reach 1
    action = (probabilities[:, 1].astype(np.float64) >= threshold).astype(np.int64)
    return Decision(action, highest(probabilities), np.zeros(action.shape, np.bool_))


def export_positive(probabilities: Tensor, threshold: float) -> ExportedDecision:
    """Do the same in steps of a graph."""
    thresholds = probabilities.graph.fitted("thresholds", [[2.0, threshold]])  # 2: never reached
    return ExportedDecision(probabilities.reaches(thresholds).row_argmax())
