"""A policy fitted by passes over all rows of a source that are too many to hold."""

from concurrent.futures import Executor

import numpy as np

from .._all_rows import NOTHING, Merged, RowBlock
from ..policy import Policy, logits_of
from ..policy.large_fit import LargeRows
from ..policy.probabilities import floor_below, warn_of_certainty
from ..policy.rows import FitRows
from .logit_table import Reading
from .passes import Passes
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
    """Fit a policy on all rows that a sample was drawn from, as far as its parts can be."""
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
    rule_rows = 0 if split.how == "none" else int(judged.merged(_count).added[0])
    if policy.rule.takes_groups:
        judged = judged.with_groups()
    rows = LargeRows(
        calibration_rows=sample.all_rows - rule_rows,
        rule_rows=rule_rows,
        split=split.how,
        effective_rows=None,
        sample=FitRows(values, sample.labels, None),
        sample_rule_rows=None if split.how == "none" else split.rule_rows(sample.places, sample.rule_rows),
        sample_groups=sample.groups,
        for_calibration=passes.seen(for_calibration),
        judged=judged,
        for_rule=lambda calibration: judged.seen(Calibrated(for_rule, calibration)),
    )
    policy.fit_large(rows, class_names=reading.class_names, probability_floor=floor, seed=split.seed)


def passes_over(
    sample: Rows, reading: Reading, view: Logits, executor: Executor | None, progress: Progress | None
) -> Passes:
    """Passes over all rows that a sample was drawn from."""
    return Passes(
        sample.parts,
        sample.counts,
        reading,
        sample.values.dtype,
        view,
        classes=sample.values.shape[1],
        is_weighted=False,
        executor=executor,
        progress=progress,
    )


def _count(block: RowBlock) -> Merged:
    return Merged(np.array([float(len(block.labels))]))


def _smallest(block: RowBlock) -> Merged:
    """Minus the smallest probability above 0."""
    return Merged(NOTHING, np.array([-float(block.values[block.values > 0].min())]))
