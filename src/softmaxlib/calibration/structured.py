"""Linear corrections of smoothed log-probabilities, with strengths of regularisation learned from the data.

Every parameter has a normal prior around 0, which is temperature scaling. Parameters of one kind (intercepts,
diagonal, off-diagonal) share one prior deviation, and each deviation is set to what makes the labels most
likely with the parameters averaged out (MacKay, "Bayesian interpolation", 1992)::

    deviation^2 = (sum of squares of the group + d) / (effective number of parameters of the group + 1)

where d is the square of a default that counts as one parameter, so that no group collapses for good. A group
that the labels don't support shrinks towards 0, whatever the number of rows and classes. The result is the mean
of the fit under this prior and of one under a wider prior (`_boldness`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..losses import cross_entropy_grad
from .base import Weights
from .designs import Design, Floats
from .smoothing import Smoothing, candidate_smoothings

_ROUNDS = 15
_SETTLED = 0.05  # relative change of the deviations' squares at which they are good enough
_COMMON_DEVIATION = 1.0  # of the factor that all classes share, in units of the features
_PLENTY = 200  # rows a class
_LEAST, _MOST = 1e-6, 25.0  # bounds of the squared deviations


class Features(NamedTuple):
    """Smoothed log-probabilities, and the same with mean 0 and size 1 where it matters.

    Rows that are certain hardly move the fit, so that center and size are taken with weights 1 - sum p^2.
    """

    logits: Floats  # (rows, classes)
    standard: Floats  # (rows, classes)
    center: Floats  # (classes,)
    size: float


class Correction(NamedTuple):
    """Calibrated logits = logits + standard * common + design.output(parameters)."""

    common: float
    parameters: Floats
    deviations: Floats  # of the intercepts, the diagonal, the off-diagonal
    evidence: float


class Structured(NamedTuple):
    """The most probable correction and the features that it belongs to."""

    smoothing: Smoothing
    features: Features
    correction: Correction


def fit_structured(
    make_design: Callable[[Floats], Design],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> Structured:
    """The correction with the largest evidence over the candidate smoothings."""

    def fit_one(smoothing: Smoothing) -> Structured:
        features = _features(smoothing(logits), weights)
        design = make_design(features.standard)
        return Structured(smoothing, features, _fit_correction(design, features, labels, weights))

    fits = map(fit_one, candidate_smoothings(logits, labels, weights))
    return max(fits, key=lambda fit: fit.correction.evidence)


def _features(logits: Floats, weights: Weights) -> Features:
    doubt = weights * (1 - np.einsum("ij,ij->i", np.exp(logits), np.exp(logits)) + 1e-9)
    doubt /= doubt.sum()
    center = doubt @ logits
    standard = logits - center
    size = float(np.sqrt((doubt @ np.square(standard)).mean())) or 1.0
    return Features(logits, standard / size, center, size)


def _fit_correction(
    design: Design, features: Features, labels: npt.NDArray[np.int64], weights: Weights
) -> Correction:
    classes = features.logits.shape[1]
    present = np.unique(design.groups)
    default = np.array([0.3, 0.3, 0.35 / np.sqrt(classes)]) ** 2
    squares = default.copy()
    state = np.zeros(len(design.groups) + 1)
    log_determinant = 0.0
    for _ in range(_ROUNDS):
        deviation = np.sqrt(squares)[design.groups]
        state, _, probabilities = _most_probable(design, features, labels, weights, deviation, state, 1e-2)
        remaining, log_determinant = design.uncertainty(probabilities, weights, deviation)
        known = np.bincount(design.groups, 1 - remaining, minlength=3)
        energy = np.bincount(design.groups, (state[:-1] * deviation) ** 2, minlength=3)
        before, squares = squares, np.clip((energy + default) / (known + 1), _LEAST, _MOST)
        state[:-1] *= deviation / np.sqrt(squares)[design.groups]
        if np.abs(np.log(squares / before))[present].max() < _SETTLED:
            break
    deviation = np.sqrt(squares)[design.groups]
    state, loss, _ = _most_probable(design, features, labels, weights, deviation, state, 1e-5)
    bold = deviation * _boldness(weights, classes)[design.groups]
    start = np.append(state[:-1] * deviation / bold, state[-1])
    bold_state, _, _ = _most_probable(design, features, labels, weights, bold, start, 1e-5)
    common = float(state[-1] + bold_state[-1]) / 2 * _COMMON_DEVIATION
    parameters = (state[:-1] * deviation + bold_state[:-1] * bold) / 2
    return Correction(common, parameters, np.sqrt(squares), -loss - log_determinant / 2)


def _boldness(weights: Weights, classes: int) -> Floats:
    """By how much the second prior is wider, for each group: up to twice where rows are plenty.

    A normal prior shrinks the few large weights of a sparse truth too much. The result is therefore the mean
    of two fits, one under the learned prior and one under a wider; the log loss is convex in the
    logits, so that the mean loses no more than the two do on average.
    """
    factor = 1 + min(1.0, float(weights.sum()) / (_PLENTY * classes))
    return np.array([1.0, factor, factor])


def _most_probable(
    design: Design,
    features: Features,
    labels: npt.NDArray[np.int64],
    weights: Weights,
    deviation: Floats,
    start: Floats,
    tolerance: float,
) -> tuple[Floats, float, Floats]:
    """Parameters in units of their deviations, the common factor last; their loss and probabilities."""
    from scipy.optimize import minimize

    rows = np.arange(len(labels))
    column = weights[:, None]

    def calibrated(state: Floats) -> Floats:
        output = design.output(state[:-1] * deviation)
        output += features.logits
        output += features.standard * (state[-1] * _COMMON_DEVIATION)
        return output

    def objective(state: Floats) -> tuple[float, Floats]:
        loss, residual = cross_entropy_grad(calibrated(state), labels, reduction="none")
        residual *= column
        gradient = np.empty_like(state)
        gradient[:-1] = design.gradient(residual) * deviation
        gradient[-1] = np.vdot(residual, features.standard) * _COMMON_DEVIATION
        return float(weights @ loss + state @ state / 2), gradient + state

    result = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxcor": 20, "gtol": tolerance, "ftol": 1e-13},
    )
    _, residual = cross_entropy_grad(calibrated(result.x), labels, reduction="none")
    residual[rows, labels] += 1
    return result.x, float(result.fun), residual
