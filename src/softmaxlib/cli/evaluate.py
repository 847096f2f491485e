"""``softmaxlib evaluate``: labelled logits in, a report out."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._compared import check_sources, models_of, names_of, print_comparison
from ._exit_codes import BROKEN_PROMISE, POOR_VERDICT
from ._multilabel import Multilabel, evaluate_labels, files_of, is_multilabel, refuse
from ._options import (
    SAMPLE_ROWS,
    Dask,
    Id,
    Label,
    LabelledRows,
    Probabilities,
    Quiet,
    SampleRows,
    Seed,
    Weight,
    Workers,
)
from ._printing import STANDARD_OUTPUT, Printer, as_output, print_verdict, write_json
from ._table import Table

if TYPE_CHECKING:
    from ..report import Evaluation, MultilabelEvaluation

_TITLE = "Can this model be trusted?"
_COMPARISON_TITLE = "Which of the two is better?"


class FailOn(StrEnum):
    """The findings that can end ``softmaxlib evaluate`` with their own exit code."""

    promise = "promise"
    caution = "caution"
    bad = "bad"


def evaluate(
    file: LabelledRows,
    label: Label,
    table: Table,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report to this file.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write all figures to this JSON file; - is standard output.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Also judge this policy: its calibration, decisions and promises.")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help="The column with the group of each row: give each group's figures, and test whether they "
            "differ. Needed for prediction sets fitted with --groups.",
            show_default=False,
        ),
    ] = None,
    weight: Weight = None,
    multilabel: Multilabel = False,
    row_id: Id = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="The model, for the record: its file, whose SHA-256 the report shows, or its name. With two "
            "sources, give it twice.",
            show_default=False,
        ),
    ] = None,
    probabilities: Probabilities = False,
    title: Annotated[str | None, typer.Option(help="The report's heading.", show_default=False)] = None,
    seed: Seed = 0,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            help="promise: exit with 1 if the policy breaks a promise. bad, "
            "caution: exit with 4 if the verdict is that or worse.",
            show_default=False,
        ),
    ] = None,
    sample_rows: SampleRows = SAMPLE_ROWS,
    workers: Workers = 1,
    dask: Dask = None,
    quiet: Quiet = False,
) -> None:
    """Evaluate a model, and optionally a policy, on labelled rows, and write a report; or compare two models.

    softmaxlib evaluate test.parquet --label truth --policy policy.json --report report.html

    softmaxlib evaluate old.parquet new.parquet --label truth --id case --report report.html
    """
    from .. import files
    from ..errors import InvalidInputError
    from ..report import compare
    from ._inputs import check_written
    from ._progress import bar, working
    from ._workers import executor_for

    printer = Printer(quiet or json == STANDARD_OUTPUT)
    if fail_on is FailOn.promise and policy is None:
        raise InvalidInputError("--fail-on promise is about the promises of a policy; name it with --policy")
    read = {"--policy": policy, "--label": label, "--groups": groups, "--weight": weight, "--id": row_id}
    check_written({"--report": report, "--json": json}, file, read, files=["--report"])
    if is_multilabel(multilabel, policy):
        refuse({"--groups": groups, "--id": row_id, "--workers": workers > 1, "--dask": dask})
        refuse({"--sample-rows": sample_rows != SAMPLE_ROWS})
        given = files_of(file, table, label, weight, probabilities)
        (named,) = models_of(model, file[:1])
        of_labels = evaluate_labels(given, policy, named, report, json, title or _TITLE, quiet)
        _exit(of_labels, fail_on)
        return
    check_sources(file, fail_on)
    models = models_of(model, file)
    evaluations = []
    with executor_for(workers, dask) as executor, bar("Reading", quiet) as progress:
        for source, name in zip(file, models, strict=True):
            one = files.evaluate(
                source,
                label,
                policy=policy,
                **table.arguments(),
                groups=groups,
                weight=weight,
                id=row_id,
                model=name,
                probabilities=probabilities,
                random_state=seed,
                sample_rows=sample_rows,
                executor=executor,
                progress=progress,
            )
            evaluations.append(one)
    comparison = None
    if len(evaluations) == 2:
        comparison = compare(*evaluations, names=names_of(file), random_state=seed)
    found = comparison or evaluations[0]
    if report is not None:
        with working("Writing the report", quiet):
            found.to_html(report, title=title or (_TITLE if comparison is None else _COMPARISON_TITLE))
    if json is not None:
        write_json(found.to_dict(), json)
    if comparison is not None:
        print_comparison(comparison, printer)
    else:
        print_verdict(evaluations[0].verdict, printer)
        held, parts = evaluations[0].sampled_rows, evaluations[0].sampled
        if held is not None:
            printer.line(f"Of {held:,} rows, drawn at random: {', '.join(parts)}.")
    for target in (report, as_output(json)):
        if target is not None:
            printer.line(f"Written to {target}")
    _exit(evaluations[0], fail_on)


def _exit(evaluation: "Evaluation | MultilabelEvaluation", fail_on: FailOn | None) -> None:
    """Exit with the code for the findings that were named, if there are any."""
    if fail_on is FailOn.promise and evaluation.audit is not None and not evaluation.audit.holds:
        raise typer.Exit(BROKEN_PROMISE)
    poor = {FailOn.caution: ("caution", "bad"), FailOn.bad: ("bad",)}
    if fail_on is not None and evaluation.verdict.grade in poor.get(fail_on, ()):
        raise typer.Exit(POOR_VERDICT)
