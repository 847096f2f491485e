"""Softmax as ``softmaxlib explain`` shows it: steps, Jacobian, and where the naive formula breaks."""

from collections.abc import Iterator

import numpy as np

from .._arrays import FloatArray, IntArray
from ._listing import Listing
from ._text import bar, format_probability

LEAST_TEMPERATURE, LARGEST_TEMPERATURE = 1e-290, 1e290  # softmax replaces those beyond (docs/accuracy.md)
_UNDERFLOW = "underflows to 0"
_MOST_NAMES = 8


def counted(temperature: float) -> float:
    """Return the temperature that softmax divides by."""
    return min(max(temperature, LEAST_TEMPERATURE), LARGEST_TEMPERATURE)


def steps(values: FloatArray, probabilities: FloatArray, labels: list[str], temperature: float) -> Listing:
    """Build the table of softmax step by step, one row per class."""
    with np.errstate(over="ignore"):
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
    if not probabilities.all():
        from ..activations import log_softmax

        logarithms = log_softmax(values, temperature=temperature)
        kept = np.flatnonzero((probabilities == 0) & np.isfinite(logarithms))
        if kept.size:
            first = kept[0]
            yield (
                f"log_softmax keeps what underflows: the log-probability of {labels[first]} is "
                f"{logarithms[first]:.8g}."
            )


def _breaks(values: FloatArray, temperature: float) -> dict[str, list[str]]:
    """Return how exp(z / T) / sum(exp(z / T)) breaks, and in which formats."""
    found: dict[str, list[str]] = {}
    with np.errstate(over="ignore"):
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
    if len(names) > _MOST_NAMES:
        names = [*names[: _MOST_NAMES - 1], f"{len(names) - _MOST_NAMES + 1} others"]
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def summary(values: FloatArray, probabilities: FloatArray, labels: list[str]) -> str:
    """Return the most likely class, its lead, and the uncertainty."""
    first = probabilities.argmax()
    text = f"Chosen: {labels[first]}, with probability {format_probability(float(probabilities[first]))}"
    if len(labels) > 1:
        others = np.delete(np.arange(len(labels)), first)
        tied = probabilities[others] == probabilities[first]
        if tied.any():
            text += f", tied with {_names(others[tied], labels)} (the first listed is taken)"
        else:
            second = others[np.lexsort((values[others], probabilities[others]))[-1]]
            behind = others[values[others] == values[second]]
            margin = probabilities[first] - probabilities[second]
            text += f", {format_probability(float(margin))} ahead of {_names(behind, labels)}"
        positive = probabilities[probabilities > 0]
        entropy = max(0.0, -float((positive * np.log(positive)).sum()))
        text += (
            f".\nDoubt: entropy {entropy:.4f} of at most {np.log(len(labels)):.4f} nats (all classes alike)"
        )
    return text + "."


def _names(indices: IntArray, labels: list[str]) -> str:
    return _listed([labels[index] for index in indices])


def jacobian(probabilities: FloatArray, labels: list[str], temperature: float) -> Listing:
    """Build the table of the derivative of each probability (row) by each logit (column)."""
    from ..activations import softmax_jacobian

    with np.errstate(over="ignore"):
        matrix = softmax_jacobian(probabilities) / temperature
    rows = [[label, *(f"{entry:.8f}" for entry in row)] for label, row in zip(labels, matrix, strict=True)]
    return Listing(titles=["", *labels], rows=rows)
