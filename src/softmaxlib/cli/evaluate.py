"""``softmaxlib evaluate``: labelled logits in, a report out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ._options import Columns, Groups, Label, Probabilities, Seed, check_groups, kind_of


def evaluate(
    file: Annotated[Path, typer.Argument(help="Labelled rows that nothing was fitted on.")],
    label: Label,
    report: Annotated[Path | None, typer.Option(help="The HTML report to write.")] = None,
    json: Annotated[Path | None, typer.Option(help="All figures as JSON, to write.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Judge this policy too: before and after, decisions, promises.")
    ] = None,
    columns: Columns = None,
    groups: Groups = None,
    probabilities: Probabilities = False,
    title: Annotated[str, typer.Option(help="The report's heading.")] = "Can this model be trusted?",
    seed: Seed = 0,
) -> None:
    """Judge a model, and a policy with it, on labelled rows; write the report that says so.

    softmaxlib evaluate test.parquet --label truth --policy policy.json --report report.html
    """
    from .._files import check_target
    from ..errors import InvalidInputError
    from ..policy import Policy
    from ..report import evaluate as evaluate_rows
    from ._progress import read_all, working
    from ._selection import Selection
    from ._tables import LogitTable

    for target in (report, json):
        if target is not None:
            check_target(target)
    if report is not None and json is not None and report.resolve() == json.resolve():
        raise InvalidInputError(f"--report and --json name the same file, {report}; give each its own")
    fitted = None if policy is None else Policy.load(policy)
    if fitted is not None and probabilities and fitted.input != "probabilities":
        raise InvalidInputError(f"{policy} was fitted on {fitted.input}; leave out --probabilities")
    check_groups(groups, fitted, policy)
    kind = kind_of(probabilities) if fitted is None else fitted.input
    table = LogitTable(file, Selection(kind, columns, label, groups), fitted)
    rows = read_all(table, "Reading")
    with working("Evaluating"):
        evaluation = evaluate_rows(
            rows.values,
            rows.labels,
            policy=fitted,
            groups=rows.groups,
            class_names=table.class_names,
            from_probabilities=kind == "probabilities",
            seed=seed,
        )
        if report is not None:
            evaluation.to_html(report, title=title)
        if json is not None:
            evaluation.to_json(json)
    console = Console(highlight=False)
    console.print(Text(evaluation.verdict.headline, style="bold"))
    for sentence in evaluation.verdict.sentences:
        console.print(Text(f"- {sentence}"))
    for target in (report, json):
        if target is not None:
            typer.echo(f"Written to {target}")
