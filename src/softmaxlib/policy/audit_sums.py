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
        record, promises = np.split(sums, [RecordSums.size(len(edges) + 1)])
        known = RecordSums.from_flat(record, len(edges) + 1)
        return cls(known, promises, rows.is_weighted, class_names)


def _sums(
    block: RowBlock, calibration: Calibration, rule: Rule, edges: FloatArray, class_names: Sequence[str]
) -> Merged:
    groups = block.groups if rule.takes_groups else None
    calibrated, probabilities, most_likely, decision = judge_values(
        calibration, rule, block.values, groups, WANTED
    )
    assert calibrated is not None
    assert probabilities is not None
    assert most_likely is not None
    seen = Predictions.of_logits(calibrated, block.labels, block.weights)
    sums = RecordSums.of(seen, decision.abstained, edges).flat
    if rule.promises_by_sums:
        outcomes = Outcomes(
            probabilities, decision, block.labels, most_likely, class_names, groups, block.weights
        )
        sums = np.append(sums, rule.promise_sums(outcomes))
    return Merged(sums)
