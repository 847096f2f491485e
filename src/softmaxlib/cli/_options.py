"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from ._selection import Kind

Columns = Annotated[
    str | None,
    typer.Option(
        help="The columns that hold a class each: names or patterns, separated by commas. What precedes a "
        "star at the end is not part of the class's name. Default: 'logit_*', or 'probability_*' with "
        "--probabilities. In .npz: the name of the array.",
        show_default=False,
    ),
]
Label = Annotated[
    str,
    typer.Option(
        help="The column with the true class, by name or index. In .npz: the array's name; for .npy: another "
        ".npy file."
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="The columns hold probabilities, not logits.")
]
PolicyFile = Annotated[Path, typer.Option("--policy", help="The policy, as written by softmaxlib fit.")]
Seed = Annotated[int, typer.Option(min=0, help="Of every random draw.")]

_SAMPLING = "With --sample"
Like = Annotated[
    str | None,
    typer.Option(
        help="The order and the defaults of transformers, vllm, llama.cpp, sglang or mlx.",
        rich_help_panel=_SAMPLING,
    ),
]
LargestLogits = Annotated[
    int | None, typer.Option(help="Keep the k largest logits.", rich_help_panel=_SAMPLING)
]
Nucleus = Annotated[
    float | None,
    typer.Option(help="Keep the most probable until they hold this mass.", rich_help_panel=_SAMPLING),
]
LeastProbability = Annotated[
    float | None,
    typer.Option(
        help="Keep those at least this many times as probable as the first.", rich_help_panel=_SAMPLING
    ),
]
TypicalMass = Annotated[
    float | None,
    typer.Option(
        help="Keep those with surprise nearest to the entropy, until they hold this mass.",
        rich_help_panel=_SAMPLING,
    ),
]
LogitDeviations = Annotated[
    float | None,
    typer.Option(
        help="Keep logits within so many standard deviations of the largest.", rich_help_panel=_SAMPLING
    ),
]
DrawSeed = Annotated[
    int | None, typer.Option(help="Of the draw; 0 when not given.", rich_help_panel=_SAMPLING)
]


def kind_of(probabilities: bool) -> Kind:
    """What the flag --probabilities declares."""
    return "probabilities" if probabilities else "logits"
