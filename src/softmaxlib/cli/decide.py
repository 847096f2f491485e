"""``softmaxlib decide``: logits in, decisions out, batch by batch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import Columns, Groups, PolicyFile, check_groups

if TYPE_CHECKING:
    from ..policy import Policy


def decide(
    logits: Annotated[Path, typer.Argument(help="The rows to decide.")],
    policy: PolicyFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .parquet, .csv or .npz file to write.")],
    columns: Columns = None,
    groups: Groups = None,
) -> None:
    """Decide every row of a file by a fitted policy.

    softmaxlib decide test.parquet --policy policy.json -o decisions.parquet

    Written are label (the most likely class), its probability, decision (empty
    where the row is set aside), abstained, expected_cost and set as far as the
    rule has them, and every column of the input that is not a logit.
    """
    from ..policy import Policy

    fitted = Policy.load(policy)
    check_groups(groups, fitted, policy)
    rows, abstained = decide_file(logits, fitted, output, columns, groups)
    typer.echo(
        f"{rows:,} rows decided, {abstained:,} ({abstained / rows:.1%}) set aside, written to {output}"
    )


def decide_file(
    logits: Path, policy: "Policy", output: Path, columns: str | None = None, groups: str | None = None
) -> tuple[int, int]:
    """Decide a file batch by batch; how many rows there were and how many were set aside."""
    from .._files import written_whole
    from ._decision_file import decision_table, open_writer
    from ._progress import watched
    from ._selection import Selection
    from ._tables import LogitTable

    table = LogitTable(logits, Selection(policy.input, columns, groups=groups), policy)
    action_names = policy.rule.name_actions(policy.class_names_)
    rows = abstained = 0
    with written_whole(output) as file, open_writer(output, file) as write:
        for batch in watched(table, "Deciding"):
            probabilities = policy.predict_proba(**{policy.input: batch.values})
            of_rows = {} if batch.groups is None else {"groups": batch.groups}
            decision = policy.rule.decide(probabilities, **of_rows)
            write(decision_table(decision, probabilities, policy.class_names_, action_names, batch.others))
            rows += len(probabilities)
            abstained += int(decision.abstained.sum())
    return rows, abstained
