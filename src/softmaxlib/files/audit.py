"""Test on the labelled rows of some files whether a policy's promises still hold."""

import os
from concurrent.futures import Executor

from .._checks import RandomState
from .._renamed import checked_keywords
from .._underflow import underflow_is_zero
from ..policy import Audit, Policy
from .csv_format import CsvFormat
from .decide import policy_of
from .large_rows import audit_by_passes
from .reading import Columns, Progress, reading_for, select
from .sample import SAMPLE_ROWS, read_rows
from .source import Source, parts_of
from .tasks import check_executor


@checked_keywords
@underflow_is_zero
def audit(
    source: Source,
    label: str,
    policy: Policy | str | os.PathLike[str],
    *,
    columns: Columns = None,
    score: str | None = None,
    positive: str | None = None,
    groups: str | None = None,
    weight: str | None = None,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    significance: float = 0.05,
    random_state: RandomState = 0,
    sample_rows: int = SAMPLE_ROWS,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Test on the labelled rows of some files whether a policy's promises still hold.

    Parameters
    ----------
    source : str, path, sequence of these, or pyarrow.dataset.Dataset
        See :func:`decide`.
    label : str
        The column with the true class.
    policy : Policy or path
        The policy whose promises are tested.
    columns, score, positive, groups, renormalize, csv, progress
        See :func:`decide`.
    weight : str, optional
        The column with the weight of each row, a number of at least 0: how often the row counts. See
        `Policy.audit`.
    significance : float, default 0.05
        The chance of a false alarm, over all promises together.
    random_state : int or numpy.random.Generator, default 0
        Seed of the sample.
    sample_rows : int, default 1,000,000
        If there are more rows, a uniform sample of this size is held in memory for the checks that need
        the rows themselves: the cost of `MinimumCost`, and the promises of a user's own rule. Calibration,
        log loss, the share set aside, risk, coverage and the figure of `TunedThreshold` are tested on all
        rows, by sums over them. ``sampled_rows`` of each check says which; the chance of a false alarm is the
        same.
    executor : concurrent.futures.Executor, optional
        Reads the parts: see :func:`decide`.

    Returns
    -------
    Audit
    """
    check_executor(executor)
    fitted, shown = policy_of(policy)
    selection = select(
        fitted.input, columns, score=score, positive=positive, label=label, groups=groups, weight=weight
    )
    reading = reading_for(fitted, selection, csv, renormalize, shown)
    with parts_of(source) as parts:
        rows = read_rows(
            parts,
            reading,
            sample_rows=sample_rows,
            random_state=random_state,
            executor=executor,
            progress=progress,
        )
        if rows.sampled_from is not None:
            return audit_by_passes(fitted, rows, reading, significance, executor=executor, progress=progress)
    return fitted.audit(
        rows.values,
        rows.labels,
        probabilities=fitted.input == "probabilities",
        groups=rows.groups,
        sample_weight=rows.weights,
        significance=significance,
    )
