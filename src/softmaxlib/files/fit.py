"""Fit a calibration and a decision rule on the labelled rows of some files."""

from collections.abc import Callable, Sequence

from .._checks import RandomState
from .._renamed import checked_keywords
from ..calibration import Calibration
from ..decisions import Rule
from ..policy import Policy
from .csv_format import CsvFormat
from .reading import Columns, Progress, read_rows, reading_of, select
from .renormalized import Renormalized
from .source import Source, parts_of


@checked_keywords
def fit(
    source: Source,
    label: str,
    calibration: Calibration,
    rule: Rule | Callable[[Sequence[str]], Rule],
    *,
    columns: Columns = None,
    groups: str | None = None,
    rule_rows: str | None = None,
    probabilities: bool = False,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    random_state: RandomState = 0,
    progress: Progress | None = None,
) -> Policy:
    """Fit a calibration and a decision rule on the labelled rows of some files.

    Parameters
    ----------
    source : str, path or sequence of these
        See :func:`decide`.
    label : str
        The column with the true class.
    calibration : calibration
        Such as ``TemperatureScaling()``.
    rule : decision rule or function
        Such as ``MostLikely()``; or a function that makes one of the class names, which the files tell.
    columns, groups, renormalize, csv, progress
        See :func:`decide`.
    rule_rows : str, optional
        The column that is true in the rows for the rule and false in those for the calibration. By default a
        random half.
    probabilities : bool, default False
        Whether the columns hold probabilities.
    random_state : int or numpy.random.Generator, default 0
        Of the split.

    Returns
    -------
    Policy
        Fitted.
    """
    return fit_and_tell(
        source,
        label,
        calibration,
        rule,
        columns=columns,
        groups=groups,
        rule_rows=rule_rows,
        probabilities=probabilities,
        renormalize=renormalize,
        csv=csv,
        random_state=random_state,
        progress=progress,
    )[0]


def fit_and_tell(
    source: Source,
    label: str,
    calibration: Calibration,
    rule: Rule | Callable[[Sequence[str]], Rule],
    *,
    columns: Columns,
    groups: str | None,
    rule_rows: str | None,
    probabilities: bool,
    renormalize: bool,
    csv: CsvFormat | None,
    random_state: RandomState,
    progress: Progress | None,
) -> tuple[Policy, Renormalized | None]:
    """Do as `fit`, and tell what dividing probabilities by their sums has changed."""
    kind = "probabilities" if probabilities else "logits"
    selection = select(kind, columns, label=label, groups=groups, rule_rows=rule_rows)
    with parts_of(source) as parts:
        reading = reading_of(parts[0], selection, csv, renormalize)
        assert reading.class_names is not None
        policy = Policy(calibration, rule if isinstance(rule, Rule) else rule(reading.class_names))
        rows = read_rows(parts, reading, progress)
    policy.fit(
        rows.values,
        rows.labels,
        probabilities=probabilities,
        class_names=reading.class_names,
        rule_rows=rows.rule_rows,
        groups=rows.groups,
        random_state=random_state,
    )
    return policy, rows.renormalized
