"""Labels drawn from probabilities: data for which a model is exactly right."""

import numpy as np


def drawn_labels(probabilities: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one label for each row of probabilities."""
    below = probabilities.cumsum(axis=1) < generator.random((len(probabilities), 1))
    return np.minimum(below.sum(axis=1), probabilities.shape[1] - 1)  # the sum of a row may be just below 1
