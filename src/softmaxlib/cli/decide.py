"""``softmaxlib decide``: logits in, decisions out, batch by batch."""

import dataclasses
from typing import Annotated

import typer

from ._multilabel import Multilabel, decide_labels, is_multilabel, refuse
from ._options import (
    Dask,
    Groups,
    PolicyFile,
    Quiet,
    Rows,
    Summary,
    Workers,
)
from ._printing import STANDARD_OUTPUT, Printer, write_json
from ._table import Table


def decide(
    logits: Rows,
    policy: PolicyFile,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A .parquet, .csv, .csv.gz, .tsv, .arrow, .arrows or .npz file to write; - is standard "
            "output (CSV, or an Arrow stream if the input is one); a name that ends in / is a folder, with "
            "one file per input file.",
        ),
    ],
    table: Table,
    groups: Groups = None,
    multilabel: Multilabel = False,
    format: Annotated[
        str | None,
        typer.Option(
            help="Format of the files in a folder: parquet, csv, csv.gz, tsv, arrow, arrows or npz. Default: "
            "parquet. A file has the format of its ending.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="For a folder: continue after an interruption, and do only what is missing."
        ),
    ] = False,
    workers: Workers = 1,
    dask: Dask = None,
    json: Summary = None,
    quiet: Quiet = False,
) -> None:
    """Decide every row of the files with a fitted policy.

    softmaxlib decide test.parquet --policy policy.json -o decisions.parquet

    softmaxlib decide rows/ --policy policy.json -o decisions/ --workers 8

    The output has the columns predicted (the most likely class), probability,
    decision (empty if the row is set aside) and abstained, expected_cost and set
    if the rule has them, and all input columns except the logits. In .csv, a text
    that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    from .. import files
    from ._inputs import check_written, source_of
    from ._progress import bar
    from ._workers import executor_for

    printer = Printer(quiet or json == STANDARD_OUTPUT or output == str(STANDARD_OUTPUT))
    check_written({"--output": output, "--json": json}, logits, {"--policy": policy})
    if is_multilabel(multilabel, policy):
        refuse({"--groups": groups, "--resume": resume, "--workers": workers > 1, "--dask": dask})
        decide_labels(logits, table, policy, output, format, json, quiet)
        return
    with executor_for(workers, dask) as executor, bar("Deciding", quiet) as progress:
        counts = files.decide(
            source_of(logits),
            policy,
            output,
            **table.arguments(),
            groups=groups,
            format=format,
            executor=executor,
            resume=resume,
            progress=progress,
        )
    if json is not None:
        named = {"input": ", ".join(logits), "policy": str(policy), "output": output}
        found = {field.name: getattr(counts, field.name) for field in dataclasses.fields(counts)}
        changed = None if counts.renormalized is None else vars(counts.renormalized)
        write_json({**named, **found, "renormalized": changed}, json)
    printer.line(f"{counts}, written to {output}")
