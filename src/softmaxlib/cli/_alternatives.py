"""The table of ``softmaxlib explain --compare``: functions that one might try in place of softmax."""

from collections.abc import Callable, Iterator

import numpy as np

from .._arrays import FloatArray
from ._listing import Listing

Function = Callable[[FloatArray], FloatArray]


def alternatives() -> dict[str, Function]:
    """Return the functions in place of softmax by their printed names."""
    from ..activations import hardmax, normalize, sigmoid

    return {"hardmax": hardmax, "sigmoid": sigmoid, "normalize": normalize}


def columns_of(values: FloatArray, temperature: float) -> dict[str, FloatArray]:
    """Apply each function to the logits divided by the temperature; a result may be NaN or infinite."""
    from ..activations import softmax

    with np.errstate(all="ignore"):
        # softmax subtracts the maximum before it divides: no quotient is beyond float64
        columns = {"softmax": softmax(values, temperature=temperature)}
        return columns | {name: function(values / temperature) for name, function in alternatives().items()}


def comparison(columns: dict[str, FloatArray], labels: list[str]) -> Listing:
    """Build the table with one column per function."""
    rows = [
        [label, *(f"{column[index] + 0.0:.8f}" for column in columns.values())]  # + 0.0: not -0
        for index, label in enumerate(labels)
    ]
    with np.errstate(all="ignore"):
        sums = [f"{column.sum():.8g}" for column in columns.values()]
    return Listing(titles=["class", *columns], rows=rows, footer=["sum", *sums])


def verdicts(
    values: FloatArray, temperature: float, columns: dict[str, FloatArray], labels: list[str]
) -> Iterator[str]:
    """Return a sentence per function: which rules it keeps, and which it breaks on these logits."""
    with np.errstate(all="ignore"):
        after = columns_of(values + 1, temperature)
        yield f"softmax: {_softmax_keeps(values, columns['softmax'])}."
        yield "hardmax: no gradient: flat until another logit is the largest, so nothing can learn from it."
        total = columns["sigmoid"].sum()
        by_chance = " by chance" if np.isclose(total, 1) else ""
        yield (
            f"sigmoid: not a distribution: its sum is {total:.4g}{by_chance}; "
            f"{_moved(columns['sigmoid'], after['sigmoid'])}."
        )
        scores = values / temperature
        fails = _normalize_fails(values, scores, columns["normalize"], after["normalize"], labels)
        yield f"normalize: {fails}."


def _softmax_keeps(values: FloatArray, probabilities: FloatArray) -> str:
    never = "positive" if probabilities.all() else "never negative"
    kept = f"{never}, sums to 1, unchanged by an offset, and with a gradient everywhere"
    flat = int(((probabilities * (1 - probabilities) == 0) & np.isfinite(values)).sum())
    if flat == 0:
        return kept
    return f"{kept}, though that of {flat} of {len(values)} classes comes out as 0 here"


def _normalize_fails(
    values: FloatArray, scores: FloatArray, before: FloatArray, after: FloatArray, labels: list[str]
) -> str:
    if not np.isfinite(values).all():
        return "undefined with a logit of -inf, and not invariant to an offset"
    if not np.isfinite(scores).all():
        return "undefined here, where a logit / T is beyond float64, and not invariant to an offset"
    if not np.isfinite(scores.sum()):
        return "undefined here, where the sum is beyond float64, and not invariant to an offset"
    if not np.isfinite(before).all():
        return "undefined here, where the logits sum to 0, and not invariant to an offset"
    reasons = []
    if before.min() < 0:
        reasons.append(f"negative values: {before.min():.4g}")
    if values.sum() < 0 and np.ptp(values) > 0:
        reasons.append(
            f"the sum of the logits is negative, which turns the order around: the largest logit, "
            f"{labels[values.argmax()]}, gets the smallest share"
        )
    if not reasons:
        reasons.append("negative values as soon as the signs of the logits differ")
    if not np.isclose(before.sum(), 1):
        reasons.append(f"a sum of {before.sum():.4g}, by rounding")
    return "; ".join([*reasons, _moved(before, after, hidden=np.ptp(values) == 0)])


def _moved(before: FloatArray, after: FloatArray, *, hidden: bool = False) -> str:
    """Return the largest change of any class by an offset of 1, with enough digits to see it.

    An offset that changes nothing is said to be `hidden` by equal logits, or lost to rounding.
    """
    rule = "not invariant to an offset"
    if not np.isfinite(after).all():
        return f"{rule}: with 1 added to all, the logits sum to 0 and it is undefined"
    index = np.abs(after - before).argmax()
    for form in (".4g", "#.8g", "#.12g", "#.16g"):
        old, new = format(before[index], form), format(after[index], form)
        if old != new:
            return f"{rule}: with 1 added to all, {old} becomes {new}"
    if hidden:
        return f"{rule}, which equal logits hide"
    return f"{rule}, by less than the digits of float64 show at such logits"
