"""Sums over all rows for an audit of more rows than fit into memory."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._all_rows import AllRows, Floats, Merged, RowBlock
from .._arrays import FloatArray
from ..calibration import Calibration
from ..decisions import Outcomes, Rule
from ..metrics.predictions import Predictions
from .figure_sums import RecordSums
from .judging import Wanted, judge_values

WANTED = Wanted(calibrated=True, probabilities=True, most_likely=True)


class AuditSums(NamedTuple):
    """Sums over rows that a policy decided.

    Attributes
    ----------
    record : RecordSums
        What its record holds of the rows of the fit.
    promises : array
        What the rule's promises are tested by.
    is_weighted : bool
        Whether the rows have weights.
    class_names : sequence of str
        What the classes are called.
    """

    record: RecordSums
    promises: Floats
    is_weighted: bool
    class_names: Sequence[str]

    @property
    def rows(self) -> int:
        """The number of rows with a weight."""
        return int(self.record.aside.rows)

    @classmethod
    def of(
        cls,
        rows: AllRows,
        calibration: Calibration,
        rule: Rule,
        edges: FloatArray,
        class_names: Sequence[str],
    ) -> "AuditSums":
        """Sum over all rows, given as logits, in one pass; `edges` separate the bins of confidence."""
        sums = rows.merged(_sums, calibration, rule, edges, class_names).added
        return cls.from_flat(sums, edges, rows.is_weighted, class_names)

    @classmethod
    def from_flat(
        cls, flat: Floats, edges: FloatArray, is_weighted: bool, class_names: Sequence[str]
    ) -> "AuditSums":
        """Read back the result of `flat_sums`, added over parts of the rows."""
        record, promises = np.split(flat, [RecordSums.size(len(edges) + 1)])
        return cls(RecordSums.from_flat(record, len(edges) + 1), promises, is_weighted, class_names)


def _sums(
    block: RowBlock, calibration: Calibration, rule: Rule, edges: FloatArray, class_names: Sequence[str]
) -> Merged:
    groups = block.groups if rule.takes_groups else None
    calibrated, probabilities, most_likely, decision, _ = judge_values(
        calibration, rule, block.values, groups, WANTED
    )
    assert calibrated is not None
    assert probabilities is not None
    assert most_likely is not None
    seen = Predictions.of_logits(calibrated, block.labels, block.weights)
    outcomes = Outcomes(
        probabilities, decision, block.labels, most_likely, class_names, groups, block.weights
    )
    return Merged(flat_sums(rule, seen, outcomes, edges))


def flat_sums(rule: Rule, calibrated: Predictions, outcomes: Outcomes, edges: FloatArray) -> Floats:
    """Return the sums over some rows as one array; `edges` separate the bins of confidence."""
    sums = RecordSums.of(calibrated, outcomes.decision.abstained, edges).flat
    return np.append(sums, rule.promise_sums(outcomes)) if rule.promises_by_sums else sums
