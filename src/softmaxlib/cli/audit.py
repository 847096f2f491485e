"""``softmaxlib audit``: does a policy still keep its promises on new rows?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ._exit_codes import BROKEN_PROMISE
from ._multilabel import Multilabel, audit_labels, is_multilabel, refuse
from ._options import (
    SAMPLE_ROWS,
    Dask,
    Groups,
    Label,
    LabelledRows,
    PolicyFile,
    Quiet,
    SampleRows,
    Weight,
    Workers,
)
from ._printing import STANDARD_OUTPUT, Printer, write_json
from ._table import Table

if TYPE_CHECKING:
    from ..policy import PromiseCheck


def audit(
    file: LabelledRows,
    policy: PolicyFile,
    label: Label,
    table: Table,
    groups: Groups = None,
    weight: Weight = None,
    multilabel: Multilabel = False,
    significance: Annotated[float, typer.Option(help="Family-wise false-alarm rate.")] = 0.05,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Also write the result as JSON; - is standard output."),
    ] = None,
    sample_rows: SampleRows = SAMPLE_ROWS,
    workers: Workers = 1,
    dask: Dask = None,
    quiet: Quiet = False,
) -> None:
    """Test on new labelled rows whether a policy keeps its promises. The exit code is 1 if it does not.

    softmaxlib audit recent.parquet --label truth --policy policy.json
    """
    from .. import files
    from ._inputs import check_written, source_of
    from ._progress import bar
    from ._workers import executor_for

    printer = Printer(quiet or output == STANDARD_OUTPUT)
    read = {"--policy": policy, "--label": label, "--groups": groups, "--weight": weight}
    check_written({"--output": output}, file, read)
    if is_multilabel(multilabel, policy):
        refuse({"--groups": groups, "--workers": workers > 1, "--dask": dask})
        refuse({"--sample-rows": sample_rows != SAMPLE_ROWS})
        audit_labels(file, table, label, weight, policy, output, significance, quiet)
        return
    with executor_for(workers, dask) as executor, bar("Auditing", quiet) as progress:
        outcome = files.audit(
            source_of(file),
            label,
            policy,
            **table.arguments(),
            groups=groups,
            weight=weight,
            significance=significance,
            sample_rows=sample_rows,
            executor=executor,
            progress=progress,
        )
    if output is not None:
        write_json(outcome.to_dict(), output)
    printer.table(("promise", "holds", "p-value", ""), (_told(check) for check in outcome.checks))
    verdict = "every promise holds" if outcome.holds else "a promise no longer holds: fit the policy anew"
    if outcome.holds and outcome.untested:
        verdict = f"no promise is broken, but too few rows to tell about: {', '.join(outcome.untested)}"
    printer.line(f"{outcome.rows:,} rows: {verdict}")
    if not outcome.holds:
        raise typer.Exit(BROKEN_PROMISE)


def _told(check: "PromiseCheck") -> tuple[str | Text, ...]:
    holds = "yes" if check.testable else "can't tell"
    p_value = f"{check.p_value:.3g}" if check.testable else ""
    return (check.promise, holds if check.holds else Text("no", style="bold red"), p_value, check.words)
