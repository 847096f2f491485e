"""``softmaxlib audit``: does a policy still keep its promises on new rows?"""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._options import Columns, Groups, Label, PolicyFile, check_groups


def audit(
    file: Annotated[Path, typer.Argument(help="New rows with their true classes.")],
    policy: PolicyFile,
    label: Label,
    columns: Columns = None,
    groups: Groups = None,
    significance: Annotated[
        float, typer.Option(help="The chance of a false alarm, over all promises together.")
    ] = 0.05,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Also write the outcome as JSON.")
    ] = None,
) -> None:
    """Test on new labelled rows whether a policy's promises still hold; exit code 1 when one does not.

    softmaxlib audit recent.parquet --label truth --policy policy.json
    """
    from .._files import check_target, written_whole
    from ..policy import Policy
    from ._progress import read_all, working
    from ._selection import Selection
    from ._tables import LogitTable

    if output is not None:
        check_target(output)
    fitted = Policy.load(policy)
    check_groups(groups, fitted, policy)
    table = LogitTable(file, Selection(fitted.input, columns, label, groups), fitted)
    rows = read_all(table, "Reading")
    with working("Auditing"):
        outcome = fitted.audit(
            **{fitted.input: rows.values}, labels=rows.labels, groups=rows.groups, significance=significance
        )
    printed = Table(box=None, pad_edge=False)
    for name in ("promise", "holds", "p-value", ""):
        printed.add_column(name)
    for check in outcome.checks:
        holds = Text("yes" if check.testable else "can't tell")
        holds = holds if check.holds else Text("no", style="bold red")
        p_value = f"{check.p_value:.3g}" if check.testable else ""
        printed.add_row(check.promise, holds, p_value, check.words)
    Console(highlight=False).print(printed)
    if output is not None:
        with written_whole(output) as target:
            target.write(json.dumps(outcome.to_dict(), indent=2).encode() + b"\n")
    verdict = "every promise holds" if outcome.holds else "a promise no longer holds: fit the policy anew"
    if outcome.holds and outcome.untested:
        verdict = f"no promise is broken, but too few rows to tell about: {', '.join(outcome.untested)}"
    typer.echo(f"{outcome.rows:,} rows: {verdict}")
    raise typer.Exit(0 if outcome.holds else 1)
