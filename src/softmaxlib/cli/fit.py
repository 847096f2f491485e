"""``softmaxlib fit``: labelled logits in, a policy out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ..policy import FitRecord
from ._options import Columns, Label, Probabilities, Seed, kind_of
from ._rule_options import (
    AbstainCost,
    Alpha,
    Confidence,
    CostFile,
    GroupsOfFit,
    PerClass,
    Risk,
    Score,
    Thresholds,
    Top,
)


def fit(
    validation: Annotated[Path, typer.Argument(help="Labelled rows that the model was not trained on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The policy to write, a JSON file.")],
    label: Label,
    columns: Columns = None,
    probabilities: Probabilities = False,
    calibration: Annotated[
        str, typer.Option(help="none, temperature, vector, matrix, isotonic, histogram or auto.")
    ] = "temperature",
    cost: CostFile = None,
    abstain_cost: AbstainCost = None,
    risk: Risk = None,
    confidence: Confidence = None,
    alpha: Alpha = None,
    score: Score = None,
    groups: GroupsOfFit = None,
    per_class: PerClass = False,
    top: Top = None,
    threshold: Thresholds = None,
    rule_rows: Annotated[
        str | None,
        typer.Option(
            help="For those who have split already: the column that is true (or 1) in the rows for the rule "
            "and false (or 0) in those for the calibration. In .npz: an array; for .npy: another .npy file. "
            "Default: a random half."
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Fit a calibration and a decision rule on labelled logits, and save both as a policy.

    softmaxlib fit validation.parquet --label truth --abstain-cost 0.05 -o policy.json
    """
    from .._files import check_target
    from ..policy import Policy
    from ._progress import read_all, working
    from ._rules import calibration_named, chosen_rule
    from ._selection import Selection
    from ._tables import LogitTable

    check_target(output)
    kind = kind_of(probabilities)
    table = LogitTable(validation, Selection(kind, columns, label, groups, rule_rows))
    rule = chosen_rule(
        table.class_names,
        cost=cost,
        abstain_cost=abstain_cost,
        risk=risk,
        confidence=confidence,
        alpha=alpha,
        score=score,
        groups=groups,
        per_class=per_class or None,
        top=top,
        threshold=threshold,
    )
    policy = Policy(calibration_named(calibration), rule)
    rows = read_all(table, "Reading")
    with working("Fitting"):
        policy.fit(
            **{kind: rows.values},
            labels=rows.labels,
            class_names=table.class_names,
            rule_rows=rows.rule_rows,
            groups=rows.groups,
            seed=seed,
        )
    policy.save(output)
    print_record(Console(highlight=False), policy.record_)
    typer.echo(f"{policy.calibration} and {type(policy.rule).__name__}, written to {output}")


def print_record(console: Console, record: FitRecord) -> None:
    """The figures before and after calibration, as a table."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("before", justify="right")
    table.add_column("after calibration", justify="right")
    for name in ("accuracy", "log_loss", "calibration_error"):
        row = (f"{getattr(figures, name):.4f}" for figures in (record.before, record.after))
        table.add_row(name.replace("_", " "), *row)
    console.print(table)
    shares = "each row judged by a calibration that did not see it"
    console.print(f"on {record.after.rows:,} of {record.rows:,} rows, {shares}", soft_wrap=True)
