"""Fit a calibration and a decision rule on the labelled rows of some files."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace

from .._checks import RandomState, check_random_state
from .._renamed import checked_keywords
from .._tables.selection import Selection
from .._underflow import underflow_is_zero
from ..calibration import Calibration
from ..decisions import Rule
from ..policy import Policy
from ..policy.large_fit import learns_by_sums
from ..policy.record import PARTS
from .csv_format import CsvFormat
from .large_fit import fit_by_passes
from .reading import Columns, Progress, reading_of, select
from .renormalized import Renormalized
from .sample import SAMPLE_ROWS, read_rows
from .source import Source, parts_of
from .tasks import check_executor
from .views import Split


@checked_keywords
@underflow_is_zero
def fit(
    source: Source,
    label: str,
    calibration: Calibration,
    rule: Rule | Callable[[Sequence[str]], Rule],
    *,
    columns: Columns = None,
    score: str | None = None,
    positive: str | None = None,
    groups: str | None = None,
    rule_rows: str | None = None,
    weight: str | None = None,
    probabilities: bool = False,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    random_state: RandomState = 0,
    sample_rows: int = SAMPLE_ROWS,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Policy:
    """Fit a calibration and a decision rule on the labelled rows of some files.

    Parameters
    ----------
    source : str, path, sequence of these, or pyarrow.dataset.Dataset
        See :func:`decide`.
    label : str
        The column with the true class.
    calibration : calibration
        Such as ``TemperatureScaling()``.
    rule : decision rule or function
        Such as ``MostLikely()``; or a function that takes the class names of the files and returns a rule.
    columns, groups, renormalize, csv, progress
        See :func:`decide`.
    score, positive : str, optional
        Of a binary model: the column with the logit (or probability) of the positive class, in place of
        `columns`, and the class that it is. The other class is the other value of the label column. Without
        `positive` the larger of two numbers is the positive class, and true beside false; of words, name one.
    rule_rows : str, optional
        The column that is true in the rows for the rule and false in those for the calibration. By default a
        random half.
    weight : str, optional
        The column with the weight of each row, a number of at least 0: how often the row counts. See
        `Policy.fit`.
    probabilities : bool, default False
        Whether the columns hold probabilities.
    random_state : int or numpy.random.Generator, default 0
        Seed of the split, and of the sample.
    sample_rows : int, default 1,000,000
        If there are more rows, a uniform sample of this size is held in memory. Temperature, vector and
        matrix scaling, the structured ones included, and the thresholds of `PredictionSets` and
        `SelectiveRisk` are still fitted on all rows, in several passes over them; every other calibration
        and rule is fitted on the sample. ``record_.sampled`` says which were.
    executor : concurrent.futures.Executor, optional
        Reads the parts: see :func:`decide`.

    Returns
    -------
    Policy
        Fitted.

    Notes
    -----
    Passes add up blocks of rows, counted from the first row of the source, in a fixed order. So the fit has
    the same bits however the rows are split into files, and whichever process reads them. A fit by passes
    differs from one in memory by the rounding of sums; thresholds do not differ, since they follow from
    counts of rows. The random half for the rule is drawn row by row, from the place of the row and the seed.
    """
    kind = "probabilities" if probabilities else "logits"
    return fit_and_tell(
        source,
        select(
            kind,
            columns,
            score=score,
            positive=positive,
            label=label,
            groups=groups,
            rule_rows=rule_rows,
            weight=weight,
        ),
        calibration,
        rule,
        renormalize=renormalize,
        csv=csv,
        random_state=random_state,
        sample_rows=sample_rows,
        executor=executor,
        progress=progress,
    )[0]


def fit_and_tell(
    source: Source,
    selection: Selection,
    calibration: Calibration,
    rule: Rule | Callable[[Sequence[str]], Rule],
    *,
    renormalize: bool,
    csv: CsvFormat | None,
    random_state: RandomState,
    sample_rows: int,
    executor: Executor | None,
    progress: Progress | None,
) -> tuple[Policy, Renormalized | None]:
    """Fit as `fit` does, and also return the changes made by dividing probabilities by their sums."""
    random_state = check_random_state(random_state)
    check_executor(executor)
    with parts_of(source) as parts:
        reading = reading_of(parts, selection, csv, renormalize)
        assert reading.class_names is not None
        is_made = isinstance(rule, Rule | type) or not callable(rule)  # what is no rule is refused by Policy
        policy = Policy(calibration, rule if is_made else rule(reading.class_names))  # type: ignore[arg-type]
        rows = read_rows(
            parts,
            reading,
            sample_rows=sample_rows,
            random_state=random_state,
            executor=executor,
            progress=progress,
        )
        if rows.sampled_from is not None and learns_by_sums(policy.calibration, policy.rule):
            how = "none" if not policy.rule.learns else "random" if rows.rule_rows is None else "given"
            split = Split(how, random_state)
            fit_by_passes(policy, rows, reading, split, executor=executor, progress=progress)
            return policy, rows.renormalized
    policy.fit(
        rows.values,
        rows.labels,
        probabilities=selection.kind == "probabilities",
        class_names=reading.class_names,
        rule_rows=rows.rule_rows,
        groups=rows.groups,
        sample_weight=rows.weights,
        random_state=random_state,
    )
    if rows.sampled_from is not None:
        policy.record_ = replace(policy.record_, sampled_from=rows.sampled_from, sampled=PARTS)
    return policy, rows.renormalized
