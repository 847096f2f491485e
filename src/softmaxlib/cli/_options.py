"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

_SOURCE = (
    "Files, folders, patterns in quotes, or URLs (s3://bucket/rows); - is standard input. Formats: .parquet, "
    ".orc, .csv, .tsv, .arrow, .npy, .npz."
)
Rows = Annotated[list[str], typer.Argument(help=f"The rows to decide. {_SOURCE}")]
LabelledRows = Annotated[
    list[str], typer.Argument(help=f"Labelled rows that nothing was fitted on. {_SOURCE}")
]
_WORK = "Several processes or machines"
Workers = Annotated[
    int,
    typer.Option(min=1, help="Number of processes that share the work.", rich_help_panel=_WORK),
]
Dask = Annotated[
    str | None,
    typer.Option(
        help="Address of a Dask scheduler whose workers share the work, such as "
        "tcp://10.0.0.5:8786. They must see the same files.",
        rich_help_panel=_WORK,
        show_default=False,
    ),
]
SAMPLE_ROWS = 1_000_000  # as in softmaxlib.files, which takes long to import
SampleRows = Annotated[
    int,
    typer.Option(
        min=1,
        help="Largest number of rows held in memory: if there are more, a uniform sample of this size.",
    ),
]
Score = Annotated[
    str | None,
    typer.Option(
        help="For a binary model: the column with the logit (with --probabilities the probability) of the "
        "positive class, instead of --columns. For .npz: the array.",
        show_default=False,
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        help="The positive class of --score. Default: the policy's second class; in fit, and without one, "
        "the larger of two numbers, or true (not false); needed if the classes are words.",
        show_default=False,
    ),
]
Columns = Annotated[
    str | None,
    typer.Option(
        help="The columns of the classes: names or patterns, separated by "
        "commas. The part before a final star is not part of the class name. Default: "
        "'logit_*', or 'probability_*' for probabilities, or one column of lists "
        "named logits or probabilities. For .npz: the name of the array.",
        show_default=False,
    ),
]
Label = Annotated[
    str,
    typer.Option(
        help="The column with the true class, as name or index. For .npz: the "
        "name of the array; for .npy: another .npy file."
    ),
]
Groups = Annotated[
    str | None,
    typer.Option(
        help="For prediction sets fitted with --groups: the column with the group of each row.",
        show_default=False,
    ),
]
Weight = Annotated[
    str | None,
    typer.Option(
        help="The column with the weight of each row: how often it counts. For .npz: an array; for .npy: "
        "another .npy file.",
        show_default=False,
    ),
]
Id = Annotated[
    str | None,
    typer.Option(
        "--id",
        help="The column with the identifier of each row, such as a case number, for the list of mistakes.",
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
        help="Divide each row of probabilities by its sum if rounding made it "
        "differ from 1, and print the largest change.",
    ),
]
_TEXT_FILES = "Text files (.csv, .tsv)"
Separator = Annotated[
    str | None,
    typer.Option(
        help="Separator of cells: one character, or 'tab'. Default: a comma, and a tab for .tsv.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="Decimal separator. Default: a point.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Thousands = Annotated[
    str | None,
    typer.Option(
        help="Thousands separator: one character, or 'space'.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Encoding of the text, such as latin-1 or cp1252. Default: utf-8.",
        rich_help_panel=_TEXT_FILES,
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")]
Summary = Annotated[
    Path | None,
    typer.Option(
        "--json", help="Also write the printed figures as JSON; - is standard output.", show_default=False
    ),
]
PolicyFile = Annotated[Path, typer.Option("--policy", help="The policy, as written by softmaxlib fit.")]
LARGEST_SEED = 2**63 - 1
Seed = Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Random seed.")]

_SAMPLING = "With --sample"
Like = Annotated[
    str | None,
    typer.Option(
        help="Use the order and defaults of transformers, vllm, llama.cpp, sglang or mlx.",
        rich_help_panel=_SAMPLING,
    ),
]
LargestLogits = Annotated[
    int | None, typer.Option(help="Keep the k largest logits.", rich_help_panel=_SAMPLING)
]
Nucleus = Annotated[
    float | None,
    typer.Option(
        help="Keep the most likely tokens whose probabilities sum to this.", rich_help_panel=_SAMPLING
    ),
]
LeastProbability = Annotated[
    float | None,
    typer.Option(
        help="Keep tokens at least this many times as likely as the most likely one.",
        rich_help_panel=_SAMPLING,
    ),
]
TypicalMass = Annotated[
    float | None,
    typer.Option(
        help="Keep the tokens with surprise nearest to the entropy whose probabilities sum to this.",
        rich_help_panel=_SAMPLING,
    ),
]
LogitDeviations = Annotated[
    float | None,
    typer.Option(
        help="Keep logits within this many standard deviations of the largest.", rich_help_panel=_SAMPLING
    ),
]
DrawSeed = Annotated[
    int | None, typer.Option(help="Random seed of the draw. Default: 0.", rich_help_panel=_SAMPLING)
]
