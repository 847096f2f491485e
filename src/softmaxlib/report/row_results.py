"""The results of each row, kept by an evaluation so that two of them can be compared."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._arrays import IntArray
from ..decisions import Costs, Outcomes, Rule
from ..metrics.predictions import Floats, Predictions


class RowResults(NamedTuple):
    """The rows of an evaluation, after calibration if there is one.

    Attributes
    ----------
    labels : array of int (rows,)
        The number of the true class.
    row_ids : array of str or None (rows,), or None
        What each row is called.
    sample_weight : array (rows,), or None
        How often each row counts.
    correct : array of bool (rows,)
        Whether the most likely class is the true one.
    confidence, log_loss, brier_score : array of float (rows,)
        The probability of the most likely class, and the two losses.
    decided : array of bool (rows,), or None
        Whether the rule did not set the row aside; None without a policy.
    right : array of bool (rows,), or None
        Whether the rule took the true class; None where actions are no classes, and without a policy.
    cost : array of float (rows,), or None
        What the row cost; None for a rule without costs, and without a policy.
    """

    labels: IntArray
    row_ids: npt.NDArray[np.object_] | None
    sample_weight: Floats | None
    correct: npt.NDArray[np.bool_]
    confidence: Floats
    log_loss: Floats
    brier_score: Floats
    decided: npt.NDArray[np.bool_] | None
    right: npt.NDArray[np.bool_] | None
    cost: Floats | None

    def in_order(self, order: npt.NDArray[np.int64]) -> "RowResults":
        """Return these rows in another order."""

        def some(part: Any) -> Any:
            return None if part is None else part[order]

        return RowResults(*map(some, self))


def row_results(
    predictions: Predictions,
    row_ids: npt.NDArray[np.object_] | None,
    rule: Rule | None,
    outcomes: Outcomes | None,
    costs: Costs | None,
) -> RowResults:
    """Collect the results of each row."""
    decided = right = None
    if rule is not None and outcomes is not None:
        decided = ~outcomes.decision.abstained
        if rule.takes_classes(outcomes.class_names):
            right = outcomes.decision.action == outcomes.labels
    return RowResults(
        labels=predictions.labels,
        row_ids=row_ids,
        sample_weight=predictions.sample_weight,
        correct=predictions.figure("correct"),
        confidence=predictions.figure("confidence"),
        log_loss=predictions.figure("log_loss"),
        brier_score=predictions.figure("brier_score"),
        decided=decided,
        right=right,
        cost=None if costs is None else costs.of_rows,
    )
