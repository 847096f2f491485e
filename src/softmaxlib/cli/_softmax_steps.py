"""Softmax as ``softmaxlib explain`` shows it: steps, Jacobian, and where the naive formula breaks."""

from collections.abc import Iterator

import numpy as np

from .._arrays import FloatArray
from ._listing import Listing
from ._text import bar, format_probability

_UNDERFLOW = "underflows to 0"


def steps(values: FloatArray, probabilities: FloatArray, labels: list[str], temperature: float) -> Listing:
    """Build the table of softmax step by step, one row per class."""
    shifted = (values - values.max()) / temperature
    weights = np.exp(shifted)
    shift_title = "minus the maximum" if temperature == 1 else f"minus the maximum, / {temperature:g}"
    possible = np.isfinite(values)
    return Listing(
        titles=["class", "logit", shift_title, "exp", "probability"],
        rows=[
            [
                label,
                f"{values[index]:g}",
                f"{shifted[index]:.6g}",
                _UNDERFLOW if possible[index] and weights[index] == 0 else f"{weights[index]:.8g}",
                _UNDERFLOW
                if possible[index] and probabilities[index] == 0
                else format_probability(float(probabilities[index])),
            ]
            for index, label in enumerate(labels)
        ],
        footer=["sum", "", "", f"{weights.sum():.8g}", f"{probabilities.sum():.8g}"],
        bars=[bar(float(probability)) for probability in probabilities],
    )


def notes(
    values: FloatArray, probabilities: FloatArray, labels: list[str], temperature: float
) -> Iterator[str]:
    """Return notes on the steps: where the formula without the maximum breaks, and what underflows."""
    for reason, formats in _breaks(values, temperature).items():
        yield f"Without subtracting the maximum, {reason} in {_listed(formats)}."
    lost = np.flatnonzero((probabilities == 0) & np.isfinite(values))
    if lost.size:
        from ..activations import log_softmax

        first = lost[0]
        logarithm = log_softmax(values, temperature=temperature)[first]
        yield (
            f"log_softmax keeps what underflows: the log-probability of {labels[first]} is {logarithm:.8g}."
        )


def _breaks(values: FloatArray, temperature: float) -> dict[str, list[str]]:
    """Return how exp(z / T) / sum(exp(z / T)) breaks, and in which formats."""
    found: dict[str, list[str]] = {}
    top = f"exp({values.max() / temperature:.6g})"
    for dtype in (np.float16, np.float32, np.float64):
        with np.errstate(all="ignore"):
            weights = np.exp(values.astype(dtype) / dtype(temperature))
            total = weights.sum()
        if np.isinf(weights).any():
            reason = f"{top} = inf and inf / inf = nan"
        elif np.isinf(total):
            reason = f"the sum of the exp is inf and {top} / inf = 0"
        elif total == 0:
            reason = f"{top} = 0 and 0 / 0 = nan"
        else:
            continue
        found.setdefault(reason, []).append(np.dtype(dtype).name)
    return found


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def summary(probabilities: FloatArray, labels: list[str]) -> str:
    """Return the most likely class, its lead, and the uncertainty."""
    order = np.argsort(-probabilities, kind="stable")
    first = order[0]
    text = f"Chosen: {labels[first]}, with probability {format_probability(float(probabilities[first]))}"
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
    return text + "."


def jacobian(probabilities: FloatArray, labels: list[str], temperature: float) -> Listing:
    """Build the table of the derivative of each probability (row) by each logit (column)."""
    from ..activations import softmax_jacobian

    matrix = softmax_jacobian(probabilities) / temperature
    rows = [[label, *(f"{entry:.8f}" for entry in row)] for label, row in zip(labels, matrix, strict=True)]
    return Listing(titles=["", *labels], rows=rows)
