"""Rows that say too little, or one thing too loudly, for a fit to be relied on."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .._warn import warn_user

Weights = npt.NDArray[np.float64]

_FAR = 1000.0  # times the typical range of a row's logits
_MOST_TOTAL, _LEAST_TOTAL = 40, -20  # powers of two: of more rows, or fewer, nothing can be told apart
_NEGLIGIBLE = 2.0**-100  # of the largest weight: changes no digit of any sum


def bounded_weights(weights: Weights) -> Weights:
    """The weights, divided by a power of two where their sum is beyond what a sum of rows can hold.

    Above 2**40 the rows are as good as infinitely many, below 2**-20 as good as none. A weight that is
    negligible beside the largest becomes 0.
    """
    largest = float(weights.max())
    if weights.min() < _NEGLIGIBLE * largest:
        weights = np.where(weights < _NEGLIGIBLE * largest, 0.0, weights)
    total = float(np.ldexp(weights, -np.frexp(largest)[1]).sum())  # between 1/2 and the number of rows
    excess = int(np.frexp(total)[1] + np.frexp(largest)[1])
    return np.ldexp(weights, int(np.clip(excess, _LEAST_TOTAL, _MOST_TOTAL)) - excess)


def warn_of_degenerate_rows(
    name: str, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], by_class: bool
) -> None:
    """Say why a fit on these rows says little; once, however many reasons there are.

    Parameters
    ----------
    name
        Of the calibration.
    logits, labels
        The rows that count.
    by_class
        Whether the calibration learns something of each class, which takes some rows of each.
    """
    rows, classes = logits.shape
    if labels.min() == labels.max():
        fault = (
            f"all {rows} rows are of class {labels[0]}, so that nothing can be learned of the others; fit on "
            "rows of every class"
        )
    elif (logits[0] == logits[-1]).all() and (logits == logits[0]).all():
        fault = (
            f"all {rows} rows hold the same logits, so that they tell nothing apart; check that the logits "
            "are the model's"
        )
    elif by_class and rows < classes:
        fault = (
            f"{rows} rows are fewer than the {classes} classes; fit on more rows, or take TemperatureScaling"
        )
    else:
        fault = _describe_outlier(logits, labels)
    if fault:
        warn_user(f"{name} has little to learn from: {fault}")


def _describe_outlier(logits: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> str:
    """The row whose label its logits rule out most, where no other row is like it; else nothing."""
    with np.errstate(over="ignore"):
        highest = logits.max(axis=1).astype(np.float64)
        behind = highest - logits[np.arange(len(labels)), labels]
        row = int(behind.argmax())
        typical = float(np.median(highest - logits.min(axis=1)))
    if not behind[row] > _FAR * typical > 0:
        return ""
    return (
        f"in row {row} the label's logit is {behind[row]:.4g} below the highest, where the logits of a row "
        f"usually range over {typical:.4g}; that row alone can decide the fit: correct its label, or leave "
        "it out"
    )
