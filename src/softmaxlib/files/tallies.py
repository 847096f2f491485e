"""Tallies of all rows of a source, part by part; a tally's size depends only on the number of classes."""

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

from .._checks import known_logits
from ..metrics import Tally
from ..policy import Policy, Wanted, logits_of
from .logit_table import Batch, LogitTable, Reading
from .part import Part
from .reading import Progress
from .tasks import run

_BLOCK_VALUES = 1 << 20  # the results of a row take several times the memory of its logits


class _Job(NamedTuple):
    reading: Reading
    policy: Policy | None
    floor: float | None  # the value that replaces an exact probability of 0; None for logits


class Tallies(NamedTuple):
    """Tallies of the rows as given, and as calibrated by a policy if there is one."""

    before: Tally
    after: Tally | None


def tally_rows(
    parts: Sequence[Part],
    reading: Reading,
    policy: Policy | None,
    floor: float | None,
    executor: Executor | None,
    progress: Progress | None = None,
) -> Tallies:
    """Tally all rows; the sums are exact, so that the bits do not depend on the order or the executor."""
    every = None
    for one in run(partial(_tally, _Job(reading, policy, floor)), parts, executor):
        if progress is not None:
            progress(one.before.rows, None)
        if every is None:
            every = one
            continue
        every.before.merge(one.before)
        if every.after is not None and one.after is not None:
            every.after.merge(one.after)
    assert every is not None  # a source has a file
    return every


def _tally(job: _Job, part: Part) -> Tallies:
    names = job.reading.class_names
    assert names is not None  # from the policy, or from the first file
    before = Tally(len(names))
    after = None if job.policy is None else Tally(len(names))
    for batch in LogitTable(part, job.reading, may_be_empty=True).batches():
        if not len(batch.values):
            continue
        size = max(1, _BLOCK_VALUES // len(names))
        for start in range(0, len(batch.values), size):
            _add(job, before, after, batch, slice(start, start + size))
    return Tallies(before, after)


def _add(job: _Job, before: Tally, after: Tally | None, batch: Batch, rows: slice) -> None:
    assert batch.labels is not None  # a label column was named
    given, labels = batch.values[rows], batch.labels[rows]
    with known_logits():
        weights = None if batch.weights is None else batch.weights[rows]
        if weights is not None and not weights.any():
            return
        before.update(given if job.floor is None else logits_of(given, job.floor), labels, weights)
        if job.policy is not None and after is not None:
            groups = None if batch.groups is None else batch.groups[rows]
            is_probability = job.policy.input == "probabilities"
            judged = job.policy.judge(
                given, probabilities=is_probability, groups=groups, wanted=Wanted(calibrated=True)
            )
            after.update(judged.calibrated, labels, weights)  # type: ignore[arg-type]
