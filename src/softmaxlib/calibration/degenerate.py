"""Warnings about rows on which a fit is not reliable: too few, or too one-sided."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._warn import warn_user

Weights = npt.NDArray[np.float64]

_FAR = 1000.0  # times the typical range of a row's logits
_MOST_TOTAL, _LEAST_TOTAL = 40, -20  # powers of two: of more rows, or fewer, nothing can be told apart
_NEGLIGIBLE = 2.0**-100  # of the largest weight: changes no digit of any sum


class WeightScale(NamedTuple):
    """Scaling of weights that keeps sums over rows within range.

    Attributes
    ----------
    least : float
        Weights below it count as 0.
    exponent : int
        Of the power of two that the others are multiplied by.
    """

    least: float
    exponent: int

    @classmethod
    def of(cls, largest: float, total: float) -> "WeightScale":
        """Return the scale for the largest weight and the result of `relative_total`.

        Above 2**40 the rows are as good as infinitely many, below 2**-20 as good as none. A weight that is
        negligible beside the largest becomes 0.
        """
        excess = int(np.frexp(total)[1] + np.frexp(largest)[1])
        return cls(_NEGLIGIBLE * largest, int(np.clip(excess, _LEAST_TOTAL, _MOST_TOTAL)) - excess)

    def apply(self, weights: Weights) -> Weights:
        """Return the weights as they count."""
        return np.ldexp(_without_negligible(weights, self.least), self.exponent)


def relative_total(weights: Weights, largest: float) -> float:
    """Return the sum of the weights in units near the largest: no sum of rows is too large for it."""
    kept = _without_negligible(weights, _NEGLIGIBLE * largest)
    return float(np.ldexp(kept, -np.frexp(largest)[1]).sum())


def bounded_weights(weights: Weights) -> Weights:
    """Return the weights, divided by a power of two if their sum could overflow."""
    largest = float(weights.max())
    return WeightScale.of(largest, relative_total(weights, largest)).apply(weights)


def _without_negligible(weights: Weights, least: float) -> Weights:
    return np.where(weights < least, 0.0, weights) if weights.min() < least else weights


def warn_of_degenerate_rows(
    name: str, logits: npt.NDArray[Any], labels: npt.NDArray[np.int64], by_class: bool
) -> None:
    """Warn once, with all reasons, if a fit on these rows is not reliable.

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
    """Return the row whose label its logits rule out most, where no other row is like it; else nothing."""
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
