"""``softmaxlib fit``: labelled logits in, a policy out."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._multilabel import Multilabel, files_of, fit_labels, refuse
from ._options import (
    SAMPLE_ROWS,
    Dask,
    Label,
    LabelledRows,
    Probabilities,
    Quiet,
    SampleRows,
    Seed,
    Summary,
    Weight,
    Workers,
)
from ._parts import Parts
from ._printing import STANDARD_OUTPUT, Printer, write_json
from ._table import Table

if TYPE_CHECKING:
    from ..files.renormalized import Renormalized
    from ..policy import FitRecord, Policy

_PAIR = ("before", "after calibration")


def fit(
    validation: LabelledRows,
    output: Annotated[Path, typer.Option("--output", "-o", help="The policy to write, a JSON file.")],
    label: Label,
    parts: Parts,
    table: Table,
    probabilities: Probabilities = False,
    rule_rows: Annotated[
        str | None,
        typer.Option(
            help="A column that is true (or 1) in the rows for the rule and "
            "false (or 0) in the rows for the calibration. For .npz: an array; for "
            ".npy: another .npy file. Default: a random half."
        ),
    ] = None,
    weight: Weight = None,
    multilabel: Multilabel = False,
    seed: Seed = 0,
    json: Summary = None,
    sample_rows: SampleRows = SAMPLE_ROWS,
    workers: Workers = 1,
    dask: Dask = None,
    quiet: Quiet = False,
) -> None:
    """Fit a calibration and a decision rule on labelled logits, and save both as a policy.

    softmaxlib fit validation.parquet --label truth --abstain-cost 0.05 -o policy.json
    """
    from ..files.fit import fit_and_tell
    from ..files.reading import select
    from ._inputs import check_written, source_of
    from ._progress import bar
    from ._workers import executor_for

    printer = Printer(quiet or json == STANDARD_OUTPUT)
    read = {
        **parts.files(),
        "--label": label,
        "--groups": parts.groups,
        "--rule-rows": rule_rows,
        "--weight": weight,
    }
    check_written({"--output": output, "--json": json}, validation, read, files=["--output"])
    if multilabel:
        refuse({"--rule-rows": rule_rows, "--groups": parts.groups, "--workers": workers > 1, "--dask": dask})
        refuse({"--sample-rows": sample_rows != SAMPLE_ROWS})
        given = files_of(validation, table, label, weight, probabilities)
        fit_labels(given, parts, output, json, seed, quiet)
        return
    kind = "probabilities" if probabilities else "logits"
    selection = select(
        kind, **table.of_classes(), label=label, groups=parts.groups, rule_rows=rule_rows, weight=weight
    )
    form = table.form()
    with executor_for(workers, dask) as executor, bar("Reading", quiet) as progress:
        policy, renormalized = fit_and_tell(
            source_of(validation),
            selection,
            parts.make_calibration(),
            lambda class_names: parts.make_rule(class_names, form),
            renormalize=table.renormalize,
            csv=form,
            random_state=seed,
            sample_rows=sample_rows,
            executor=executor,
            progress=progress,
        )
    policy.save(output)
    if json is not None:
        write_json(_summary(policy, output, renormalized), json)
    printer.table(("", *_PAIR), _figures(policy.record_), numbers=_PAIR)
    judged, rows_in_all = policy.record_.after.rows, policy.record_.rows
    shares = "each row judged by a calibration that did not see it"
    printer.line(f"on {judged:,} of {rows_in_all:,} rows, {shares}")
    printer.line(f"{policy.calibration} and {type(policy.rule).__name__}, written to {output}")


def _figures(record: "FitRecord") -> Iterator[tuple[str, str, str]]:
    """Build the table of figures before and after calibration."""
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
        "sampled_from": record.sampled_from,
        "sampled": list(record.sampled),
        "calibration_rows": record.calibration_rows,
        "rule_rows": record.rule_rows,
        "fitted_at": record.fitted_at,
        "before": asdict(record.before),
        "after": asdict(record.after),
        "set_aside": record.abstained,
        "renormalized": None if renormalized is None else vars(renormalized),
    }
