"""``softmaxlib fit``: labelled logits in, a policy out."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import (
    Columns,
    Decimal,
    Encoding,
    Label,
    Probabilities,
    Quiet,
    Renormalize,
    Seed,
    Separator,
    Summary,
    Thousands,
    kind_of,
)
from ._parts import Parts
from ._printing import STANDARD_OUTPUT, Printer, as_output, write_json

if TYPE_CHECKING:
    from ..files.renormalized import Renormalized
    from ..policy import FitRecord, Policy

_PAIR = ("before", "after calibration")


def fit(
    validation: Annotated[Path, typer.Argument(help="Labelled rows that the model was not trained on.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The policy to write, a JSON file.")],
    label: Label,
    parts: Parts,
    columns: Columns = None,
    probabilities: Probabilities = False,
    rule_rows: Annotated[
        str | None,
        typer.Option(
            help="For those who have split already: the column that is true (or 1) in the rows for the rule "
            "and false (or 0) in those for the calibration. In .npz: an array; for .npy: another .npy file. "
            "Default: a random half."
        ),
    ] = None,
    seed: Seed = 0,
    json: Summary = None,
    renormalize: Renormalize = False,
    separator: Separator = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
) -> None:
    """Fit a calibration and a decision rule on labelled logits, and save both as a policy.

    softmaxlib fit validation.parquet --label truth --abstain-cost 0.05 -o policy.json
    """
    from .._files import check_outputs
    from .._tables.selection import Selection
    from ..files.csv_format import CsvFormat
    from ..files.logit_table import LogitTable
    from ..policy import Policy
    from ._progress import read_all, working

    printer = Printer(quiet or json == STANDARD_OUTPUT)
    kind = kind_of(probabilities)
    selection = Selection(kind, columns, label, parts.groups, rule_rows)
    inputs = {"the input": validation, **parts.files(), **selection.files(validation)}
    check_outputs({"--output": output, "--json": as_output(json)}, inputs)
    form = CsvFormat.of(separator, decimal, thousands, encoding)
    table = LogitTable(validation, selection, form=form, renormalize=renormalize)
    policy = Policy(parts.make_calibration(), parts.make_rule(table.class_names, form))
    rows = read_all(table, "Reading", quiet)
    with working("Fitting", quiet):
        policy.fit(
            **{kind: rows.values},
            labels=rows.labels,
            class_names=table.class_names,
            rule_rows=rows.rule_rows,
            groups=rows.groups,
            seed=seed,
        )
    policy.save(output)
    if json is not None:
        write_json(_summary(policy, output, table.renormalized), json)
    printer.table(("", *_PAIR), _figures(policy.record_), numbers=_PAIR)
    judged, rows_in_all = policy.record_.after.rows, policy.record_.rows
    shares = "each row judged by a calibration that did not see it"
    printer.line(f"on {judged:,} of {rows_in_all:,} rows, {shares}")
    printer.line(f"{policy.calibration} and {type(policy.rule).__name__}, written to {output}")


def _figures(record: "FitRecord") -> Iterator[tuple[str, str, str]]:
    """The figures before and after calibration, a row each."""
    for name in ("accuracy", "log_loss", "calibration_error"):
        before, after = (f"{getattr(figures, name):.4f}" for figures in (record.before, record.after))
        yield name.replace("_", " "), before, after


def _summary(policy: "Policy", output: Path, renormalized: "Renormalized | None") -> dict[str, Any]:
    record = policy.record_
    return {
        "policy": str(output),
        "calibration": str(policy.calibration),
        "rule": type(policy.rule).__name__,
        "classes": len(policy.class_names_),
        "rows": record.rows,
        "calibration_rows": record.calibration_rows,
        "rule_rows": record.rule_rows,
        "fitted_at": record.fitted_at,
        "before": asdict(record.before),
        "after": asdict(record.after),
        "set_aside": record.abstained,
        "renormalized": None if renormalized is None else vars(renormalized),
    }
