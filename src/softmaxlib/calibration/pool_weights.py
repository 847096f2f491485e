"""The weights of calibrations in a pool, from their predictions on rows that they were not fitted on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..losses import cross_entropy_grad
from .base import Weights
from .blocks import sum_over_blocks

Floats = npt.NDArray[np.float64]

_TEMPER = 0.25  # of the likelihood in the prior: the losses of two candidates err together
_PRIOR_ROWS = 20.0  # what the prior counts
_BLOCK = 1 << 16  # numbers worked on at a time


def pool_weights(
    logarithms: Sequence[npt.NDArray[Any]], labels: npt.NDArray[np.int64], weights: Weights
) -> Floats:
    """Return weights that sum to 1: the most probable ones, for rows left out.

    The log loss of the pool, which is convex in the weights, is minimised under a Dirichlet prior around
    weights proportional to exp(-total loss / 4) of each calibration alone. Where many rows speak, the pool is
    the best one; where few do, it stays near what each has shown by itself.

    Parameters
    ----------
    logarithms : sequence of arrays, shape (rows, classes)
        The log-probabilities that each calibration gives rows left out of its fit.
    labels : array of int, shape (rows,)
        The true classes.
    weights : array, shape (rows,)
        How often each row counts.

    Returns
    -------
    array, shape (calibrations,)
        All at least 0.

    References
    ----------
    D. H. Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    Y. Yao, A. Vehtari, D. Simpson, A. Gelman, "Using stacking to average Bayesian predictive distributions",
    Bayesian Analysis 13, 2018: stacking, and weights by exp(-loss).
    """
    from scipy.optimize import minimize
    from scipy.special import softmax

    rows, count = np.arange(len(labels)), len(logarithms)
    alone = np.array([-np.sum(weights * logarithm[rows, labels]) for logarithm in logarithms])
    prior = _PRIOR_ROWS * softmax(-_TEMPER * alone)
    length = max(1, _BLOCK // (count * logarithms[0].shape[1]))

    def objective(free: Floats) -> tuple[float, Floats]:
        share = softmax(free)

        def part(some: slice) -> Floats:
            parts = [logarithm[some].astype(np.float64) for logarithm in logarithms]
            pooled = sum(one * part for one, part in zip(share, parts, strict=True))
            loss, residual = cross_entropy_grad(pooled, labels[some], reduction="none")
            residual *= weights[some, None]
            slopes = [np.einsum("ij,ij->", residual, part) for part in parts]
            return np.array([np.sum(weights[some] * loss), *slopes])

        value, *slope = sum_over_blocks(len(labels), length, lambda: part)
        excess = np.array(slope) * share - prior  # the prior, -sum(prior log share), included
        return float(value - prior @ np.log(share)), excess - share * excess.sum()

    found = minimize(objective, np.zeros(count), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return softmax(found.x)
