"""``softmaxlib explain``: one softmax, step by step."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.text import Text

from .._arrays import FloatArray
from .._text import printable, quoted
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


def explain(
    logits: Annotated[list[str], typer.Argument(help="One number per class, such as 2.0 1.0 0.1.")],
    names: Annotated[str | None, typer.Option(help="Names of the classes, separated by commas.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Divide the logits by it: above 1 flattens, below 1 sharpens.")
    ] = None,
    jacobian: Annotated[
        bool, typer.Option("--jacobian", help="Also print the Jacobian, diag(p) - p p^T.")
    ] = False,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="Compare with hardmax, sigmoid and normalize (divide by the sum)."),
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
    values: FloatArray,
    labels: list[str],
    temperature: float,
    with_jacobian: bool,
    compare: bool,
) -> None:
    from ..activations import softmax
    from ._alternatives import columns_of, comparison, verdicts
    from ._softmax_steps import counted, jacobian, notes, steps, summary

    probabilities = softmax(values, temperature=temperature)
    asked, temperature = temperature, counted(temperature)
    steps(values, probabilities, labels, temperature).print(console)
    console.print(Text(f"\n{summary(values, probabilities, labels)}"))
    if temperature != asked:
        limit = "least" if temperature > asked else "largest"
        console.print(
            Text(
                f"A temperature of {asked:g} counts as {temperature:g}, the {limit} that softmax divides by."
            )
        )
    for note in notes(values, probabilities, labels, temperature):
        console.print(Text(note))
    if with_jacobian:
        formula = "diag(p) - p p^T" if temperature == 1 else f"(diag(p) - p p^T) / {temperature:g}"
        console.print(Text(f"\nJacobian {formula}: how the row's probability moves with the column's logit."))
        jacobian(probabilities, labels, temperature).print(console)
    if compare:
        columns = columns_of(values, temperature)
        at = "" if temperature == 1 else f", all of the logits / {temperature:g}"
        console.print(Text(f"\nBeside its alternatives{at}:"))
        comparison(columns, labels).print(console)
        for line in verdicts(values, temperature, columns, labels):
            console.print(Text(line))


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
    result = [printable(name.strip()) for name in names.split(",")]
    if len(result) != count:
        raise InvalidInputError(f"--names must name each class once: {count} logits, got {len(result)} names")
    if len(set(result)) < count:
        repeated = max(result, key=result.count)
        raise InvalidInputError(
            f"--names must name each class once: got {quoted([repeated])} for {result.count(repeated)} "
            "classes; give each its own"
        )
    return result
