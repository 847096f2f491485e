"""Sampling from one row of logits, shown stage by stage: ``softmaxlib explain --sample``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._arrays import FloatArray
from ..errors import InvalidInputError
from ..sampling import Allowed, Bias, Chain, Explanation
from ._text import bar, format_probability

TOP = 5


def chain_of(engine: str | None, options: Mapping[str, Any]) -> Chain:
    """Make the engine's chain, or the standard one, with the given options (the others are None)."""
    given = {name: value for name, value in options.items() if value is not None}
    return Chain.standard(**given) if engine is None else Chain.like(engine, **given)


def print_sampling(console: Console, values: FloatArray, labels: list[str], chain: Chain, seed: int) -> None:
    """Print what each stage removed, the remaining distribution, and the token drawn from it."""
    if not 0 <= seed < 2**64:
        raise InvalidInputError(f"--seed must lie from 0 to 2^64 - 1, got {seed}")
    explanation = chain.explain(values, names=labels, top=TOP)
    drawn = chain.sample(values, seed=seed, position=0)
    typer.echo(str(explanation))
    idle = _without_effect(chain, explanation)
    if idle:
        console.print(Text(f"Without effect here: {', '.join(idle)}"), soft_wrap=True)
    console.print("\nLeft to draw from:")
    console.print(_distribution(values, labels, chain))
    token = int(drawn.token)
    probability = format_probability(float(np.exp(drawn.processed_logprob)))
    console.print(Text(f"\nDrawn with seed {seed}: {labels[token]}, which had probability {probability}."))


def _without_effect(chain: Chain, explanation: Explanation) -> list[str]:
    told = {step.stage for step in explanation.steps}
    return [
        repr(stage)
        for stage in chain.stages
        if not (stage.is_off or isinstance(stage, Bias | Allowed) or repr(stage) in told)
    ]


def _distribution(values: FloatArray, labels: list[str], chain: Chain) -> Table:
    from ..activations import softmax

    before, after = softmax(values), softmax(chain.process(values))
    removed = _removed_by(values, chain)
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for title in ("logit", "softmax", "left"):
        table.add_column(title, justify="right")
    table.add_column("")
    for index, label in enumerate(labels):
        probability = float(after[index])
        note = f"removed by {removed[index]}" if index in removed else bar(probability)
        shown = format_probability(probability)
        table.add_row(
            Text(label), f"{values[index]:g}", format_probability(float(before[index])), shown, note
        )
    return table


def _removed_by(values: FloatArray, chain: Chain) -> dict[int, str]:
    removed: dict[int, str] = {}
    possible = np.isfinite(values)
    for count, stage in enumerate(chain.stages, 1):
        left = np.isfinite(Chain(*chain.stages[:count]).process(values))
        removed |= dict.fromkeys(np.flatnonzero(possible & ~left).tolist(), type(stage).__name__)
        possible = left
    return removed
