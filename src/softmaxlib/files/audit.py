"""Test on the labelled rows of some files whether a policy's promises still hold."""

import os

from ..policy import Audit, Policy
from .csv_format import CsvFormat
from .decide import policy_of
from .reading import Columns, Progress, read_rows, reading_for, select
from .source import Source, parts_of


def audit(
    source: Source,
    label: str,
    policy: Policy | str | os.PathLike[str],
    *,
    columns: Columns = None,
    groups: str | None = None,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    significance: float = 0.05,
    progress: Progress | None = None,
) -> Audit:
    """Test on the labelled rows of some files whether a policy's promises still hold.

    Parameters
    ----------
    source : str, path or sequence of these
        See :func:`decide`.
    label : str
        The column with the true class.
    policy : Policy or path
        Whose promises are tested.
    columns, groups, renormalize, csv, progress
        See :func:`decide`.
    significance : float, default 0.05
        The chance of a false alarm, over all promises together.

    Returns
    -------
    Audit
    """
    fitted, shown = policy_of(policy)
    selection = select(fitted.input, columns, label=label, groups=groups)
    reading = reading_for(fitted, selection, csv, renormalize, shown)
    with parts_of(source) as parts:
        rows = read_rows(parts, reading, progress)
    return fitted.audit(
        rows.values,
        rows.labels,
        probabilities=fitted.input == "probabilities",
        groups=rows.groups,
        significance=significance,
    )
