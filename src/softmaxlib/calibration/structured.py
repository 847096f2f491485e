"""Linear corrections of smoothed log-probabilities, with strengths of regularisation learned from the data.

Every parameter has a normal prior around 0, which is temperature scaling. Parameters of one kind (intercepts,
diagonal, off-diagonal) share one prior deviation, and each deviation is set to what makes the labels most
likely with the parameters averaged out (MacKay, "Bayesian interpolation", 1992)::

    deviation^2 = (sum of squares of the group + d) / (effective number of parameters of the group + 1)

where d is the square of a default that counts as one parameter, so that no group collapses for good. A group
that the labels don't support shrinks towards 0, whatever the number of rows and classes. The result is the
mean of the fit under this prior and of one under a wider prior (`_boldness`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..activations import softmax
from ..losses import cross_entropy_grad
from .base import Weights
from .designs import Design, Floats
from .smoothing import Smoothing, candidate_smoothings

_ROUNDS = 15
_SETTLED = 0.05  # relative change of the deviations' squares at which they are good enough
_COMMON_DEVIATION = 1.0  # of the factor that all classes share, in units of the features
_PLENTY = 200  # rows a class
_ENOUGH_ROWS, _ENOUGH_NUMBERS = 5000, 1_000_000  # to learn the strengths of regularisation from
_FINEST = 1e-5  # largest derivative of the total loss, in nats, at which the last fit ends
_FINE_NUMBERS = (
    1_000_000  # of rows * classes up to which; beyond, the tolerance grows with them up to 100 times
)
_LEAST, _MOST = 1e-6, 25.0  # bounds of the squared deviations


class Features(NamedTuple):
    """Smoothed log-probabilities, and the same with mean 0 and size 1 where it matters.

    Rows that are certain hardly move the fit, so that center and size are taken with weights 1 - sum p^2.
    """

    logits: Floats  # (rows, classes)
    standard: Floats  # (rows, classes)
    center: Floats  # (classes,)
    size: float


class Learned(NamedTuple):
    """The strengths of regularisation, and where the fit stood when they were found."""

    smoothing: Smoothing
    squares: Floats  # of the deviations: intercepts, diagonal, off-diagonal
    parameters: Floats
    common: float
    evidence: float


class Start(NamedTuple):
    """Where the search begins: the end of another one, on almost the same rows."""

    squares: Floats
    parameters: Floats
    common: float


class Structured(NamedTuple):
    """Calibrated logits = z + common * standard + design.output(parameters); z, standard from `features`."""

    smoothing: Smoothing
    features: Features
    common: float
    parameters: Floats
    deviations: Floats  # of the intercepts, the diagonal, the off-diagonal

    def end(self) -> Start:
        """What a fit on almost the same rows can start from."""
        return Start(np.square(self.deviations), self.parameters, self.common)


def fit_structured(
    make_design: Callable[[Floats], Design],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
    start: Start | None = None,
) -> Structured:
    """The correction whose smoothing has the largest evidence; strengths are learned from enough rows."""
    enough = max(_ENOUGH_ROWS, _ENOUGH_NUMBERS // logits.shape[1])
    some = slice(None, None, max(1, len(labels) // enough))
    best: Learned | None = None
    for smoothing in candidate_smoothings(logits, labels, weights):
        learned = _learn(make_design, smoothing, logits[some], labels[some], weights[some], start)
        if best is None or learned.evidence > best.evidence:
            best = learned
    assert best is not None  # there is always a least smoothing
    features = _features(best.smoothing(logits), weights)
    design = make_design(features.standard)
    narrow = np.sqrt(best.squares)
    wider = narrow * _boldness(weights, logits.shape[1])
    tolerance = _FINEST * min(max(1.0, logits.size / _FINE_NUMBERS), 100.0)
    first = _most_probable(design, features, labels, weights, narrow, best.parameters, best.common, tolerance)
    second = _most_probable(
        design, features, labels, weights, wider, first.parameters, first.common, tolerance
    )
    parameters = (first.parameters + second.parameters) / 2
    return Structured(best.smoothing, features, (first.common + second.common) / 2, parameters, narrow)


def _boldness(weights: Weights, classes: int) -> Floats:
    """By how much the second prior is wider, for each group: up to twice where rows are plenty.

    A normal prior shrinks the few large weights of a sparse truth too much. The result is therefore the mean
    of two fits, one under the learned prior and one under a wider; the log loss is convex in the
    logits, so that the mean loses no more than the two do on average.
    """
    factor = 1 + min(1.0, float(weights.sum()) / (_PLENTY * classes))
    return np.array([1.0, factor, factor])


def _features(logits: Floats, weights: Weights) -> Features:
    doubt = weights * (1 - np.einsum("ij,ij->i", np.exp(logits), np.exp(logits)) + 1e-9)
    doubt /= doubt.sum()
    center = doubt @ logits
    standard = logits - center
    size = float(np.sqrt((doubt @ np.square(standard)).mean())) or 1.0
    return Features(logits, standard / size, center, size)


def _learn(
    make_design: Callable[[Floats], Design],
    smoothing: Smoothing,
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
    start: Start | None,
) -> Learned:
    classes = logits.shape[1]
    features = _features(smoothing(logits), weights)
    design = make_design(features.standard)
    present = np.unique(design.groups)
    default = np.array([0.3, 0.3, 0.35 / np.sqrt(classes)]) ** 2
    squares, parameters, common = start or Start(default, np.zeros(len(design.groups)), 0.0)
    evidence = -np.inf
    for _ in range(_ROUNDS):
        deviations = np.sqrt(squares)
        fit = _most_probable(design, features, labels, weights, deviations, parameters, common, 1e-2)
        parameters, common = fit.parameters, fit.common
        open_still = design.uncertainty(fit.probabilities, weights, deviations[design.groups])
        evidence = -fit.loss - open_still.log_determinant / 2
        known = np.bincount(design.groups, 1 - open_still.remaining, minlength=3)
        energy = np.bincount(design.groups, parameters**2, minlength=3)
        before, squares = squares, np.clip((energy + default) / (known + 1), _LEAST, _MOST)
        if np.abs(np.log(squares / before))[present].max() < _SETTLED:
            break
    return Learned(smoothing, squares, parameters, common, evidence)


class _Fit(NamedTuple):
    parameters: Floats
    common: float
    loss: float  # minus the log of likelihood times prior
    probabilities: Floats


def _most_probable(
    design: Design,
    features: Features,
    labels: npt.NDArray[np.int64],
    weights: Weights,
    deviations: Floats,
    parameters: Floats,
    common: float,
    tolerance: float,
) -> _Fit:
    """The most probable parameters under a prior, found from `parameters` in units of the prior."""
    from scipy.optimize import minimize

    deviation = deviations[design.groups]
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
        np.append(parameters / deviation, common / _COMMON_DEVIATION),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxcor": 20, "gtol": tolerance, "ftol": 1e-13},
    )
    state = result.x
    return _Fit(
        state[:-1] * deviation,
        float(state[-1]) * _COMMON_DEVIATION,
        float(result.fun),
        softmax(calibrated(state)),
    )
