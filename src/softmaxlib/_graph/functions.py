"""Functions that several graphs apply to a row."""

import numpy as np

from .graph import WIDE, Tensor


def softmax(logits: Tensor) -> Tensor:
    """Return the probabilities of each row, in float64."""
    wide = logits.cast(WIDE)
    weight = (wide - wide.row_max()).exp()
    return weight / weight.row_sum()


def log_softmax(logits: Tensor) -> Tensor:
    """Return the log-probabilities of each row, in float64."""
    wide = logits.cast(WIDE)
    shifted = wide - wide.row_max()
    return shifted - shifted.exp().row_sum().log()


def is_finite(values: Tensor) -> Tensor:
    """Return, for each row, whether all its numbers are finite."""
    return (values.abs() < np.inf).row_all()
