"""The one number a row of a binary model as rows of two classes."""

import numpy as np

from .libraries import FloatArray


def two_columns(scores: FloatArray, *, probabilities: bool) -> FloatArray:
    """Return the rows (rows, 2) that one logit, or one probability, of the second class stands for."""
    return np.stack([1 - scores if probabilities else np.zeros_like(scores), scores], axis=1)
