"""Judge a model, and a policy with it, on the labelled rows of some files."""

import os
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace

from .._checks import RandomState, check_random_state
from .._renamed import checked_keywords
from .._spelling import argument
from .._underflow import underflow_is_zero
from ..errors import InvalidInputError
from ..policy import Policy, probability_floor
from ..report import Evaluation
from ..report import evaluate as evaluate_rows
from ..report.all_rows import with_all_rows
from ..report.provenance import Origin
from ..report.row_sums import Counting
from .csv_format import CsvFormat
from .decide import policy_of
from .large_rows import audit_of_sums
from .part import origin_of
from .reading import Columns, Progress, reading_for, reading_of, select
from .sample import SAMPLE_ROWS, Rows, plan_rows
from .source import Source, parts_of
from .tasks import check_executor, own_threads, run
from .whole_pass import WholePass, see_all


@checked_keywords
@underflow_is_zero
def evaluate(
    source: Source,
    label: str,
    *,
    policy: Policy | str | os.PathLike[str] | None = None,
    columns: Columns = None,
    score: str | None = None,
    positive: str | None = None,
    groups: str | None = None,
    weight: str | None = None,
    id: str | None = None,
    model: str | os.PathLike[str] | None = None,
    probabilities: bool = False,
    renormalize: bool = False,
    csv: CsvFormat | None = None,
    random_state: RandomState = 0,
    sample_rows: int = SAMPLE_ROWS,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge a model on the labelled rows of some files, and a policy with it.

    Parameters
    ----------
    source : str, path, sequence of these, or pyarrow.dataset.Dataset
        See :func:`decide`.
    label : str
        The column with the true class.
    policy : Policy or path, optional
        Judged too: calibration before and after, decisions, promises.
    columns, renormalize, csv, progress
        See :func:`decide`.
    score, positive : str, optional
        See :func:`decide` for a policy, and :func:`fit` without one.
    groups : str, optional
        The column with the group of each row: each group has the same figures, and whether they differ is
        tested. An empty cell is a group of its own, ``(missing)``. A policy whose rule asks for groups needs
        them, and refuses empty ones.
    weight : str, optional
        The column with the weight of each row, a number of at least 0: how often the row counts. See
        `softmaxlib.evaluate`.
    id : str, optional
        The column with what each row is called, shown in the list of mistakes; an empty cell is no name.
    model : str or path, optional
        The model, for the record: the path of its file, whose SHA-256 is taken, or its name.
    probabilities : bool, default False
        Whether the columns hold probabilities; of a policy it is known.
    random_state : int or numpy.random.Generator, default 0
        Seed of the simulations behind intervals and tests, and of the sample.
    sample_rows : int, default 1,000,000
        If there are more rows, a uniform sample of this size is held in memory.
    executor : concurrent.futures.Executor, optional
        Reads and tallies the parts: see :func:`decide`.

    Returns
    -------
    Evaluation
        With more than `sample_rows` rows, all that sums can give is computed on all rows: figures, intervals,
        tests, curves, decisions, the list of mistakes, and the checks of the audit that :func:`audit` names.
        ``sampled`` names what is computed on the sample, and ``sampled_rows`` is its size. With weights, the
        interval of the Brier score, tests, the curves of two classes and decisions are those of the sample.
        The sample is drawn uniformly, so that tests keep their level.
    """
    random_state = check_random_state(random_state)
    check_executor(executor)
    fitted, shown = (None, "") if policy is None else policy_of(policy)
    if fitted is not None and probabilities and fitted.input != "probabilities":
        raise InvalidInputError(
            f"{shown} was fitted on {fitted.input}; leave out {argument('probabilities', True)}"
        )
    kind = fitted.input if fitted is not None else "probabilities" if probabilities else "logits"
    selection = select(
        kind, columns, score=score, positive=positive, label=label, groups=groups, weight=weight, id=id
    )
    with parts_of(source) as parts, own_threads() if executor is None else nullcontext(executor) as workers:
        origins = run(origin_of, parts, workers)
        if executor is not None:  # nothing may be left with it after an error
            origins = list(origins)
        if fitted is None:
            reading = replace(reading_of(parts, selection, csv, renormalize), compared_groups=True)
        else:
            reading = reading_for(fitted, selection, csv, renormalize, shown, compares_groups=True)
        plan = plan_rows(parts, reading, sample_rows=sample_rows, random_state=random_state, executor=workers)
        counting = Counting(reading.class_names or (), fitted)
        floor, whole = None if fitted is None else fitted.floor, None
        if plan.is_sample and not renormalize and (kind == "logits" or floor is not None):
            whole = see_all(plan, counting, floor, True, workers, progress)
        rows = whole.sample if whole is not None else None
        if rows is None:
            rows = plan.read(workers, progress)
        if plan.is_sample and whole is None:
            if kind == "probabilities" and floor is None:
                floor = probability_floor(rows.values)
            whole = see_all(plan, counting, floor, False, workers, progress)
        evaluation = evaluate_rows(
            rows.values,
            rows.labels,
            policy=fitted,
            groups=rows.groups,
            sample_weight=rows.weights,
            row_ids=rows.ids,
            model=model,
            class_names=reading.class_names,
            probabilities=kind == "probabilities",
            random_state=random_state,
        )
        provenance = replace(evaluation.provenance, files=tuple(origins))
        if isinstance(policy, str | os.PathLike):
            provenance = replace(provenance, policy=Origin.of_file(policy))
        evaluation = replace(evaluation, provenance=provenance)
        if whole is None:
            return evaluation
        return _of_all_rows(evaluation, rows, whole, counting, random_state)


def _of_all_rows(
    evaluation: Evaluation, sample: Rows, whole: WholePass, counting: Counting, seed: int
) -> Evaluation:
    """Evaluate all rows that a sample was drawn from, as far as sums over them tell."""
    policy = counting.policy
    audit = None
    if policy is not None and whole.audit is not None:
        audit = audit_of_sums(policy, whole.audit, sample, 0.05)
    evaluation = replace(evaluation, mistakes=whole.mistakes)
    result = None if policy is None else whole.after.compute()
    return with_all_rows(evaluation, whole.before.compute(), result, whole.rows, audit, seed)
