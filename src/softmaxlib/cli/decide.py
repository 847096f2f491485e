"""``softmaxlib decide``: logits in, decisions out, batch by batch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ._options import (
    Columns,
    Decimal,
    Encoding,
    Groups,
    PolicyFile,
    Quiet,
    Renormalize,
    Separator,
    Summary,
    Thousands,
    check_groups,
)
from ._printing import STANDARD_OUTPUT, Printer, as_output, write_json

if TYPE_CHECKING:
    from ..files.logit_table import LogitTable
    from ..policy import Policy


def decide(
    logits: Annotated[Path, typer.Argument(help="The rows to decide.")],
    policy: PolicyFile,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A .parquet, .csv, .csv.gz, .tsv or .npz file to write."),
    ],
    columns: Columns = None,
    groups: Groups = None,
    json: Summary = None,
    renormalize: Renormalize = False,
    separator: Separator = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    encoding: Encoding = None,
    quiet: Quiet = False,
) -> None:
    """Decide every row of a file by a fitted policy.

    softmaxlib decide test.parquet --policy policy.json -o decisions.parquet

    Written are label (the most likely class), its probability, decision (empty
    where the row is set aside), abstained, expected_cost and set as far as the
    rule has them, and every column of the input that is not a logit. In .csv a
    text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    from .._files import check_outputs
    from .._tables.selection import Selection
    from ..files.csv_format import CsvFormat
    from ..files.logit_table import LogitTable
    from ..policy import Policy

    printer = Printer(quiet or json == STANDARD_OUTPUT)
    fitted = Policy.load(policy)
    check_groups(groups, fitted, policy)
    selection = Selection(fitted.input, columns, groups=groups)
    inputs = {"the input": logits, "--policy": policy, **selection.files(logits)}
    check_outputs({"--output": output, "--json": as_output(json)}, inputs)
    table = LogitTable(
        logits,
        selection,
        fitted,
        form=CsvFormat.of(separator, decimal, thousands, encoding),
        renormalize=renormalize,
        may_be_empty=True,
    )
    counts = decide_table(table, fitted, output, quiet)
    if json is not None:
        files: dict[str, Any] = {"input": str(logits), "policy": str(policy), "output": str(output)}
        changed = None if table.renormalized is None else vars(table.renormalized)
        write_json({**files, **asdict(counts), "renormalized": changed}, json)
    printer.line(f"{counts}, written to {output}")


@dataclass(frozen=True)
class Counts:
    """How many rows there were, were decided, and were set aside."""

    rows: int
    decided: int
    set_aside: int

    def __str__(self) -> str:
        share = f" ({self.set_aside / self.rows:.1%})" if self.rows else ""
        return f"{self.rows:,} rows decided, {self.set_aside:,}{share} set aside"


def decide_table(table: "LogitTable", policy: "Policy", output: Path, quiet: bool = False) -> Counts:
    """Decide a file batch by batch, and write the decisions as they come."""
    from .._files import written_whole
    from ..files.sinks import check_format, open_writer
    from ..policy import Wanted
    from ..policy.decided_table import decided_columns, with_input
    from ._progress import watched

    check_format(output)
    rows = set_aside = 0
    with written_whole(output) as file, open_writer(output, file) as write:
        for batch in watched(table, "Deciding", quiet):
            count = len(batch.values)
            # of no rows the columns are still to be known: a row is made up for them, and dropped
            values = (
                batch.values if count else np.full((1, len(table.class_names)), 1 / len(table.class_names))
            )
            of_rows = batch.groups
            if of_rows is not None and not count:
                of_rows = np.array(table.group_names)[:1]
            given: Any = {policy.input: values}
            judged = policy.judge(**given, groups=of_rows, wanted=Wanted(most_likely=True))
            decision = judged.decision
            decided = decided_columns(policy.rule, judged, values.dtype, policy.class_names_)
            write(with_input(decided.slice(0, count), batch.others))
            rows += count
            set_aside += int(decision.abstained[:count].sum())
    return Counts(rows, rows - set_aside, set_aside)
