"""``softmaxlib decide``: logits in, decisions out, batch by batch."""

from pathlib import Path
from typing import Annotated

import typer

from ._options import Columns, PolicyFile


def decide(
    logits: Annotated[Path, typer.Argument(help="The rows to decide.")],
    policy: PolicyFile,
    output: Annotated[Path, typer.Option("--output", "-o", help="A .parquet, .csv or .npz file to write.")],
    columns: Columns = None,
) -> None:
    """Decide every row of a file by a fitted policy.

    Writes the columns label (the most likely class), probability, decision (empty where set aside) and
    abstained, with expected_cost and set where the rule has them, then every column of the input that is
    not a logit.
    """
    from .._files import written_whole
    from ..policy import Policy
    from ._decision_file import decision_table, open_writer
    from ._progress import watched
    from ._selection import Selection
    from ._tables import LogitTable

    fitted = Policy.load(policy)
    table = LogitTable(logits, Selection(fitted.input, columns), fitted.class_names_)
    rows = abstained = 0
    with written_whole(output) as file, open_writer(output, file) as write:
        for batch in watched(table, "Deciding"):
            probabilities = fitted.predict_proba(**{fitted.input: batch.values})
            decision = fitted.rule.decide(probabilities)
            write(decision_table(decision, probabilities, fitted.class_names_, batch.others))
            rows += len(probabilities)
            abstained += int(decision.abstained.sum())
    typer.echo(
        f"{rows:,} rows decided, {abstained:,} ({abstained / rows:.1%}) set aside, written to {output}"
    )
