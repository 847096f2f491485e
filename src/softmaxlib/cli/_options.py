"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

_SOURCE = (
    "Files, folders, patterns in quotes, or URLs (s3://bucket/rows); - is standard input. Formats: .parquet, "
    ".csv, .tsv, .arrow, .npy, .npz."
)
Rows = Annotated[list[str], typer.Argument(help=f"The rows to decide. {_SOURCE}")]
LabelledRows = Annotated[
    list[str], typer.Argument(help=f"Labelled rows that nothing was fitted on. {_SOURCE}")
]
_WORK = "Several processes or machines"
Workers = Annotated[
    int,
    typer.Option(min=1, help="How many processes of this machine share the work.", rich_help_panel=_WORK),
]
Dask = Annotated[
    str | None,
    typer.Option(
        help="The address of a scheduler of Dask's whose workers share the work, such as "
        "tcp://10.0.0.5:8786; they must see the same files.",
        rich_help_panel=_WORK,
        show_default=False,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="The columns that hold a class each: names or patterns, separated by commas. What precedes a "
        "star at the end is not part of the class's name. Default: 'logit_*', or 'probability_*' for "
        "probabilities, or else one column of lists called logits or probabilities. In .npz: the name of the "
        "array.",
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
Groups = Annotated[
    str | None,
    typer.Option(
        help="For prediction sets fitted with --groups: the column with the group of each row.",
        show_default=False,
    ),
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="The columns hold probabilities, not logits.")
]
Renormalize = Annotated[
    bool,
    typer.Option(
        "--renormalize",
        help="Divide each row of probabilities by its sum, where rounding has left another than 1; the "
        "largest change is stated.",
    ),
]
_TEXT_FILES = "Text files (.csv, .tsv)"
Separator = Annotated[
    str | None,
    typer.Option(
        help="What stands between two cells: one character, or 'tab'. Default: a comma, in .tsv a tab.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="What stands before the decimals of a number. Default: a point.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Thousands = Annotated[
    str | None,
    typer.Option(
        help="What groups the digits of a number by three: one character, or 'space'.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Such as latin-1 or cp1252. Default: utf-8.", rich_help_panel=_TEXT_FILES, show_default=False
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but warnings and errors, and no progress.")
]
Summary = Annotated[
    Path | None,
    typer.Option(
        "--json", help="Also write what is printed as JSON; - is standard output.", show_default=False
    ),
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
