"""The options of ``softmaxlib fit`` that choose the decision rule."""

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Decision rule (one of these; without any, the most likely class is taken)"

CostFile = Annotated[
    Path | None,
    typer.Option(
        help="Least expected cost: a CSV file, a row a true class, a column a decision.",
        rich_help_panel=_PANEL,
    ),
]
AbstainCost = Annotated[
    float | None,
    typer.Option(
        help="Least expected cost: what setting a row aside costs. A mistake costs 1 without --cost.",
        rich_help_panel=_PANEL,
    ),
]
Risk = Annotated[
    float | None,
    typer.Option(
        help="Bounded risk: the largest share of wrong decisions. Doubtful rows are set aside.",
        rich_help_panel=_PANEL,
    ),
]
Confidence = Annotated[
    float | None,
    typer.Option(help="With --risk: how surely it holds; 0.95 by default.", rich_help_panel=_PANEL),
]
Alpha = Annotated[
    float | None,
    typer.Option(
        help="Prediction sets: the share of rows whose set may miss the true class.", rich_help_panel=_PANEL
    ),
]
Score = Annotated[
    str | None,
    typer.Option(help="With --alpha: lac (default), aps, raps or saps.", rich_help_panel=_PANEL),
]
GroupsOfFit = Annotated[
    str | None,
    typer.Option(
        help="With --alpha: the column with each row's group, such as a ward or a branch. What --alpha says "
        "then holds within each; decide, evaluate and audit want the column too.",
        rich_help_panel=_PANEL,
    ),
]
PerClass = Annotated[
    bool,
    typer.Option(
        "--per-class", help="With --alpha: what it says holds within each true class.", rich_help_panel=_PANEL
    ),
]
Top = Annotated[
    int | None, typer.Option(help="The so many most likely classes, as a list.", rich_help_panel=_PANEL)
]
Thresholds = Annotated[
    str | None,
    typer.Option(
        help="A threshold: set aside where no class is at least so probable. One number, or one for each "
        "class: cat=0.9,dog=0.5.",
        rich_help_panel=_PANEL,
    ),
]
