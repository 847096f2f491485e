"""The one number a row of a binary model as rows of two classes."""

import numpy as np

from .libraries import FloatArray


def two_columns(scores: FloatArray, *, probabilities: bool) -> FloatArray:
    """Convert one logit, or one probability, of the second class to rows of two classes (rows, 2)."""
    return np.stack([1 - scores if probabilities else np.zeros_like(scores), scores], axis=1)
