"""Rows whose truth is known."""

import numpy as np

from softmaxlib.activations import softmax


def made(seed: int, rows: int = 500, classes: int = 4, sharpen: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels; calibrated unless sharpened."""
    generator = np.random.default_rng(seed)
    truth = generator.dirichlet(np.full(classes, 0.6), rows)
    labels = (generator.random((rows, 1)) > truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return softmax(np.log(truth) * sharpen), labels
