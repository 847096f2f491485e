"""``softmaxlib explain``: one softmax, step by step."""

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._text import printable
from ..errors import InvalidInputError
from ._options import (
    DrawSeed,
    LargestLogits,
    LeastProbability,
    Like,
    LogitDeviations,
    Nucleus,
    TypicalMass,
)
from ._printing import console
from ._text import bar, format_probability


def explain(
    logits: Annotated[list[str], typer.Argument(help="One real number a class, such as 2.0 1.0 0.1.")],
    names: Annotated[str | None, typer.Option(help="The classes' names, separated by commas.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Logits are divided by it: above 1 softer, below 1 sharper.")
    ] = None,
    jacobian: Annotated[bool, typer.Option("--jacobian", help="Also print diag(p) - p p^T.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also print hardmax, sigmoid and standard normalization.")
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw a class, and show what each stage before the draw did.")
    ] = False,
    like: Like = None,
    top_k: LargestLogits = None,
    top_p: Nucleus = None,
    min_p: LeastProbability = None,
    typical_p: TypicalMass = None,
    top_n_sigma: LogitDeviations = None,
    seed: DrawSeed = None,
) -> None:
    """Show how softmax turns logits into probabilities, step by step."""
    values = np.array([_number(text) for text in logits])
    if not np.isfinite(values).any():
        raise InvalidInputError("at least one logit must be finite, got only -inf: no class is possible")
    labels = _names(names, len(values))
    filters = {
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "typical_p": typical_p,
        "top_n_sigma": top_n_sigma,
    }
    output = console()
    if sample:
        from ._sampling import chain_of, print_sampling

        _refuse({"jacobian": jacobian, "compare": compare}, "shows the softmax alone; leave out --sample")
        chain = chain_of(like, {"temperature": temperature, **filters})
        print_sampling(output, values, labels, chain, 0 if seed is None else seed)
    else:
        _refuse({"like": like, **filters, "seed": seed}, "belongs to a draw; add --sample")
        _print_softmax(output, values, labels, 1.0 if temperature is None else temperature, jacobian, compare)


def _refuse(options: Mapping[str, object], why: str) -> None:
    for name, value in options.items():
        if value is not None and value is not False:
            raise InvalidInputError(f"--{name.replace('_', '-')} {why}")


def _print_softmax(
    console: Console,
    values: np.ndarray,
    labels: list[str],
    temperature: float,
    jacobian: bool,
    compare: bool,
) -> None:
    from ..activations import softmax

    probabilities = softmax(values, temperature=temperature)
    console.print(_steps(values, probabilities, labels, temperature))
    console.print(_summary(probabilities, labels))
    if jacobian:
        console.print(
            "\nJacobian diag(p) - p p^T: how the row's probability moves with the column's logit"
            + (f" (divide by the temperature {temperature:g})." if temperature != 1 else ".")
        )
        console.print(_jacobian(probabilities, labels))
    if compare:
        with np.errstate(all="ignore"):  # normalize divides by a sum that may be 0: part of what is shown
            _print_comparison(console, values, probabilities, labels)


def _number(text: str) -> float:
    if text.startswith("--"):
        raise InvalidInputError(f"no such option: {text}; see softmaxlib explain --help")
    try:
        value = float(text)
    except ValueError:
        raise InvalidInputError(
            f"a logit must be a number, got {text!r}; separate logits by spaces: 2.0 1.0 0.1"
        ) from None
    if np.isnan(value) or value == np.inf:
        raise InvalidInputError(f"a logit must be finite or -inf (an impossible class), got {text}")
    return value


def _names(names: str | None, count: int) -> list[str]:
    if names is None:
        return [str(index) for index in range(count)]
    result = [name.strip() for name in names.split(",")]
    if len(result) != count:
        raise InvalidInputError(f"--names must name each class once: {count} logits, got {len(result)} names")
    return [printable(name) for name in result]


def _steps(values: np.ndarray, probabilities: np.ndarray, labels: list[str], temperature: float) -> Table:
    shifted = (values - values.max()) / temperature
    weights = np.exp(shifted)
    shift_title = "minus the maximum" if temperature == 1 else f"minus the maximum, / {temperature:g}"
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("class", footer="sum")
    table.add_column("logit", justify="right")
    table.add_column(shift_title, justify="right")
    table.add_column("exp", justify="right", footer=f"{weights.sum():.8g}")
    table.add_column("probability", justify="right", footer=f"{probabilities.sum():.8g}")
    table.add_column("")
    for label, value, shift, weight, probability in zip(
        labels, values, shifted, weights, probabilities, strict=True
    ):
        shown = format_probability(probability)
        table.add_row(
            Text(label), f"{value:g}", f"{shift:.6g}", f"{weight:.8g}", shown, bar(float(probability))
        )
    return table


def _summary(probabilities: np.ndarray, labels: list[str]) -> Text:
    order = np.argsort(-probabilities, kind="stable")
    first = order[0]
    text = f"\nChosen: {labels[first]}, with probability {format_probability(float(probabilities[first]))}"
    if len(labels) > 1:
        second = order[1]
        margin = probabilities[first] - probabilities[second]
        if margin == 0:
            text += f", tied with {labels[second]} (the first listed is taken)"
        else:
            text += f", {format_probability(float(margin))} ahead of {labels[second]}"
        positive = probabilities[probabilities > 0]
        entropy = max(0.0, -float((positive * np.log(positive)).sum()))
        text += (
            f".\nDoubt: entropy {entropy:.4f} of at most {np.log(len(labels)):.4f} nats (all classes alike)"
        )
    return Text(text + ".")


def _jacobian(probabilities: np.ndarray, labels: list[str]) -> Table:
    from ..activations import softmax_jacobian

    matrix = softmax_jacobian(probabilities)
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for label in labels:
        table.add_column(Text(label), justify="right")
    for label, row in zip(labels, matrix, strict=True):
        table.add_row(Text(label), *(f"{entry:.8f}" for entry in row))
    return table


def _print_comparison(
    console: Console, values: np.ndarray, probabilities: np.ndarray, labels: list[str]
) -> None:
    from ..activations import hardmax, normalize, sigmoid

    columns = {
        "softmax": probabilities,
        "hardmax": hardmax(values),
        "sigmoid": sigmoid(values),
        "normalize": normalize(values),
    }
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("class", footer="sum")
    for name, column in columns.items():
        table.add_column(name, justify="right", footer=f"{column.sum():.8g}")
    for index, label in enumerate(labels):
        table.add_row(Text(label), *(f"{column[index]:.8f}" for column in columns.values()))
    console.print("\nBeside its alternatives:")
    console.print(table)
    for line in _verdicts(values, columns):
        console.print(Text(line))


def _verdicts(values: np.ndarray, columns: dict[str, np.ndarray]) -> list[str]:
    from ..activations import normalize, sigmoid

    def moved(function: Callable[[np.ndarray], np.ndarray], column: np.ndarray) -> str:
        after = function(values + 1)[0]
        return f"not invariant to an offset: with 1 added to all, {column[0]:.4g} becomes {after:.4g}"

    total = columns["sigmoid"].sum()
    by_chance = " by chance" if np.isclose(total, 1) else ""
    smallest = columns["normalize"].min()
    if not np.isfinite(smallest):
        negative = "undefined here, where the logits sum to 0, and not invariant to an offset"
    elif smallest < 0:
        negative = f"negative values: {smallest:.4g}; " + moved(normalize, columns["normalize"])
    else:
        negative = "negative values where a logit is negative; " + moved(normalize, columns["normalize"])
    return [
        "softmax: positive, sums to 1, unchanged by an offset, and with a gradient everywhere.",
        "hardmax: no gradient: flat until another logit is the largest, so nothing can learn from it.",
        f"sigmoid: not a distribution: its sum is {total:.4g}{by_chance}; "
        + moved(sigmoid, columns["sigmoid"])
        + ".",
        f"normalize: {negative}.",
    ]
