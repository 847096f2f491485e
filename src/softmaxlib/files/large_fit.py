"""Fit a policy by passes over all rows of a source that does not fit into memory."""

from concurrent.futures import Executor
from typing import Any

import numpy as np

from .._all_rows import NOTHING, Merged, RowBlock
from ..policy import Policy, logits_of
from ..policy.large_fit import LargeRows
from ..policy.probabilities import floor_below, warn_of_certainty
from ..policy.rows import FitRows
from .large_rows import passes_over
from .logit_table import Reading
from .reading import Progress
from .sample import Rows
from .views import Calibrated, Logits, Split


def fit_by_passes(
    policy: Policy,
    sample: Rows,
    reading: Reading,
    split: Split,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> None:
    """Fit the parts of a policy that can be fitted by passes on all rows, and the others on the sample."""
    assert reading.class_names is not None
    passes = passes_over(sample, reading, Logits(), executor, progress)
    floor, values = None, sample.values
    if reading.selection.kind == "probabilities":
        warn_of_certainty(sample.values)
        floor = floor_below(-float(passes.merged(_smallest).largest[0]))
        values = logits_of(sample.values, floor)
    every = Logits(floor)
    for_calibration, for_rule = (Logits(floor, split, of_rule) for of_rule in (False, True))
    judged = passes.seen(every if split.how == "none" else for_rule)
    rule_rows = 0 if split.how == "none" else int(judged.merged(_size).added[0])
    every_row, weight, squares = sample.all_rows, 1.0, 1.0
    if passes.is_weighted:
        every_row, weight, squares = passes.merged(_size).added.tolist()
    if policy.rule.takes_groups:
        judged = judged.with_groups()
    of_sample = None if split.how == "none" else split.rule_rows(sample.places, sample.rule_rows)
    counts = slice(None) if sample.weights is None else sample.weights > 0
    rows = LargeRows(
        calibration_rows=int(every_row) - rule_rows,
        rule_rows=rule_rows,
        split=split.how,
        effective_rows=weight**2 / squares if passes.is_weighted else None,
        sample=FitRows(*(_some(column, counts) for column in (values, sample.labels, sample.weights))),
        sample_rule_rows=_some(of_sample, counts),
        sample_groups=_some(sample.groups, counts),
        for_calibration=passes.seen(for_calibration),
        judged=judged,
        for_rule=lambda calibration: judged.seen(Calibrated(for_rule, calibration)),
    )
    policy.fit_large(rows, class_names=reading.class_names, probability_floor=floor, seed=split.seed)


def _some(column: Any, rows: Any) -> Any:
    return None if column is None else column[rows]


def _size(block: RowBlock) -> Merged:
    """Return the number of rows, the sum of their weights, and the sum of the squares of these."""
    weights = np.ones(len(block.labels)) if block.weights is None else block.weights
    return Merged(np.array([float(weights.size), weights.sum(), weights @ weights]))


def _smallest(block: RowBlock) -> Merged:
    """Return minus the smallest probability above 0."""
    return Merged(NOTHING, np.array([-float(block.values[block.values > 0].min())]))
