"""Linear corrections of smoothed log-probabilities, with strengths of regularisation learned from the data.

Every parameter has a normal prior around 0, which is temperature scaling. Parameters of one kind (intercepts,
diagonal, off-diagonal) share one prior deviation, and each deviation is set to what makes the labels most
likely with the parameters averaged out (MacKay, "Bayesian interpolation", 1992)::

    deviation^2 = (sum of squares of the group + d) / (effective number of parameters of the group + 1)

where d is the square of a default that counts as one parameter, so that no group collapses for good. A group
that the labels don't support shrinks towards 0, whatever the number of rows and classes.

A factor that shrinks to 0 leaves the logits alone at the origin of the features, and nothing says which
origin is right: the mean of the doubtful rows, or certainty, where log-probabilities are 0. The result is
the mean of the fits with the one and with the other; the log loss is convex in the logits, so that the mean
loses no more than the two do on average. Where the evidence is decisive against certainty as the origin,
the first fit stands alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..activations import softmax
from ..losses import cross_entropy_grad
from .base import Weights
from .conditioning import Curvature
from .designs import DIAGONAL, Design, Features, Floats, Linear
from .smoothing import Smoothing, candidate_smoothings, least_smoothing

_ROUNDS = 15
_SETTLED = 0.05  # relative change of the deviations' squares at which they are good enough
_FARTHEST = 4.0  # steps at once
_COMMON_DEVIATION = 1.0  # of the factor that all classes share, in units of the features
_PLENTY = 200  # rows a class
_ENOUGH_ROWS, _ENOUGH_NUMBERS = 5000, 1_000_000  # to learn the strengths of regularisation from
_FINEST = 1e-5  # largest derivative of the total loss, by posterior deviation, at which the last fit ends
_FINE_NUMBERS = (
    1_000_000  # of rows * classes up to which; beyond, the tolerance grows with them up to 100 times
)
_ABSENT = 1e-9  # deviation of a factor that is to stay 0
_UNLIKELY = 0.02  # probability of a smoothing below which it plays no part
_DECISIVE = 20.0  # nats of evidence by which one origin, or smoothing, leaves another out of it
_FEWEST_KNOWN = -0.9  # parameters: an estimate of a number that can't be below 0
_MOST = 25.0  # bound of the squared deviations
_ROWS_OF_CURVATURE = 1024  # to find the coordinates of a search from


class Start(NamedTuple):
    """Where the search begins: the end of another one, on almost the same rows."""

    squares: Floats  # of the deviations: intercepts, diagonal, off-diagonal
    parameters: Floats


class Learned(NamedTuple):
    """The strengths of regularisation, and where the fit stood when they were found."""

    smoothing: Smoothing
    start: Start
    evidence: float


class Ends(NamedTuple):
    """Where the searches with the two origins ended; None where there was none with that origin."""

    doubt: Start | None
    certainty: Start | None


class Structured(NamedTuple):
    """Calibrated logits = weight applied to z + intercept, for the smoothed log-probabilities z."""

    smoothing: Smoothing
    linear: Linear
    deviations: Floats  # of the intercepts, the diagonal, the off-diagonal, about the mean of doubtful rows
    ends: Ends  # what a fit on almost the same rows can start from


class Rows(NamedTuple):
    """What the fit is judged by."""

    labels: npt.NDArray[np.int64]
    weights: Weights


def fit_structured(
    make_design: Callable[[Features], Design],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
    near: Ends | None = None,
) -> Structured:
    """The mean of the fits with two origins, on all rows; how much to shrink is learned from some."""
    some = slice(None, None, max(1, len(logits) // max(_ENOUGH_ROWS, _ENOUGH_NUMBERS // logits.shape[1])))
    rows, few = Rows(labels, weights), Rows(labels[some], weights[some])
    first = _best_smoothing(make_design, logits[some], few, near and near.doubt)
    about_doubt = Features.of(first.smoothing(logits), weights)
    tolerance = _fineness(logits.size)
    widening = _widening(weights, logits.shape[1])

    def fit(features: Features, learned: Learned, widening: Floats) -> tuple[Linear, Start]:
        squares, parameters = learned.start
        design = make_design(features)
        bend = _curvature(design, rows, parameters)
        deviations = _with_common(np.sqrt(squares) * widening)
        end = _most_probable(design, rows, deviations, parameters, bend, tolerance).parameters
        return design.linear(end), Start(squares, end)

    linear, end = fit(about_doubt, first, widening)
    alone = Structured(first.smoothing, linear, np.sqrt(first.start.squares), Ends(end, None))
    if near and near.certainty is None:
        return alone
    about_certainty = about_doubt.about_certainty()
    start = near.certainty if near else Start(first.start.squares, np.zeros_like(first.start.parameters))
    second = _learn(make_design(about_certainty.of_rows(some)), first.smoothing, few, start, first.evidence)
    if second.evidence < first.evidence - _DECISIVE:
        return alone
    other, other_end = fit(about_certainty, second, np.ones_like(widening))
    mean = Linear((linear.weight + other.weight) / 2, (linear.intercept + other.intercept) / 2)
    return alone._replace(linear=mean, ends=Ends(end, other_end))


def fit_penalised(
    make_design: Callable[[Features], Design],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
    near: Ends | None = None,
) -> Structured:
    """The fit with the fixed penalties of Berta and others, about certainty and without a common factor."""
    classes = logits.shape[1]
    rows, smoothing = Rows(labels, weights), least_smoothing(logits, labels, weights)
    features = Features.of(smoothing(logits), weights).about_certainty()
    design = make_design(features)
    squares = 1 / (2 * np.array([classes, classes, classes * (classes - 1)]))
    squares[DIAGONAL:] *= features.size**2
    start = near.certainty.parameters if near and near.certainty else np.zeros(len(design.groups))
    deviations, bend = np.sqrt(squares), _curvature(design, rows, start)
    end = _most_probable(
        design, rows, _with_common(deviations, _ABSENT), start, bend, _fineness(logits.size)
    ).parameters
    return Structured(smoothing, design.linear(end), deviations, Ends(None, Start(squares, end)))


def unfitted(
    make_design: Callable[[Features], Design],
    logits: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> Structured:
    """Temperature scaling alone: the correction that all priors are around."""
    smoothing = least_smoothing(logits, labels, weights)
    some = Features.of(smoothing(logits[:1]), weights[:1])
    design = make_design(some._replace(size=1.0))
    start = np.zeros(len(design.groups))
    return Structured(smoothing, design.linear(start), np.zeros(3), Ends(None, None))


def _best_smoothing(
    make_design: Callable[[Features], Design], logits: npt.NDArray[Any], rows: Rows, start: Start | None
) -> Learned:
    """What has the largest evidence; where two smoothings come close, one between them."""

    def learn(smoothing: Smoothing, start: Start | None, bar: float = -np.inf) -> Learned:
        features = Features.of(smoothing(logits), rows.weights)
        return _learn(make_design(features), smoothing, rows, start, bar)

    candidates = candidate_smoothings(logits, *rows)
    least = learn(candidates[0], start)
    if len(candidates) == 1:
        return least
    likely = learn(candidates[1], start, least.evidence)
    price = np.log(rows.weights.sum()) / 2  # of the floor, a parameter fitted to n rows (Schwarz)
    gain = likely.evidence - least.evidence - price
    share = 1 / (1 + float(np.exp(-np.clip(gain, -500.0, 500.0))))
    best = likely if gain > 0 else least
    if min(share, 1 - share) < _UNLIKELY:
        return best
    return learn(least.smoothing.toward(likely.smoothing, share), best.start)


def _widening(weights: Weights, classes: int) -> Floats:
    """By how much the prior about the mean of doubtful rows is wider than learned: up to twice.

    A normal prior shrinks the few large weights of a sparse truth too much, where rows are plenty.
    """
    factor = 1 + min(1.0, float(weights.sum()) / (_PLENTY * classes))
    return np.array([1.0, factor, factor])


def _learn(
    design: Design, smoothing: Smoothing, rows: Rows, start: Start | None, bar: float = -np.inf
) -> Learned:
    """The strengths of largest evidence; given up where, at its pace, it won't come close to `bar`."""
    classes = design.features.standard.shape[1]
    default = np.array([0.3, 0.3, 0.35 / np.sqrt(classes)]) ** 2
    squares, parameters = start or Start(default, np.zeros(len(design.groups)))
    present = np.unique(design.groups[:-1])
    evidence, before, bend = -np.inf, None, _curvature(design, rows, parameters)
    for rounds_left in reversed(range(_ROUNDS)):
        deviations = _with_common(np.sqrt(squares))
        parameters, loss = _most_probable(design, rows, deviations, parameters, bend, 1e-2)
        probabilities = softmax(design.calibrated(parameters, slice(None)))
        open_still = design.uncertainty(probabilities, rows.weights, deviations[design.groups])
        last, evidence = evidence, -loss - open_still.log_determinant / 2
        known = np.bincount(design.groups, 1 - open_still.remaining)[: len(squares)]
        known = np.maximum(known, _FEWEST_KNOWN)
        energy = np.bincount(design.groups, parameters**2)[: len(squares)]
        here, change = np.log(squares), np.log((energy + default) / (known + 1) / squares)
        hopeless = evidence + rounds_left * (evidence - last) < bar - _DECISIVE
        if hopeless or np.abs(change[present]).max() < _SETTLED:
            break
        squares = np.minimum(np.exp(here + _step(here, change, before)), _MOST)
        before = here, change
    return Learned(smoothing, Start(squares, parameters), evidence)


def _step(here: Floats, change: Floats, before: tuple[Floats, Floats] | None) -> Floats:
    """The change of each logarithm, by the secant of the last two, up to four times as far."""
    if before is None:
        return change
    moved, slower = here - before[0], before[1] - change
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(moved * slower > 0, moved / slower, 1.0)
    return change * np.clip(factor, 1.0, _FARTHEST)


class _Fit(NamedTuple):
    parameters: Floats
    loss: float  # minus the log of likelihood times prior


def _with_common(deviations: Floats, common: float = _COMMON_DEVIATION) -> Floats:
    """The prior deviation of each group, that of the common factor included."""
    return np.append(deviations, common)


def _fineness(numbers: int) -> float:
    """The tolerance of the last search."""
    return _FINEST * min(max(1.0, numbers / _FINE_NUMBERS), 100.0)


def _most_probable(
    design: Design,
    rows: Rows,
    deviations: Floats,
    start: Floats,
    curvature: Curvature,
    tolerance: float,
) -> _Fit:
    """The most probable parameters under a prior, found from `start` in coordinates by the curvature."""
    from scipy.optimize import minimize

    precision = deviations[design.groups] ** -2.0
    coordinates = curvature.coordinates(precision)

    def part(parameters: Floats, some: slice) -> Floats:
        loss, residual = cross_entropy_grad(
            design.calibrated(parameters, some), rows.labels[some], reduction="none"
        )
        weights = rows.weights[some]
        residual *= weights[:, None]
        return np.append(design.gradient(residual, some), weights @ loss)

    def objective(place: Floats) -> tuple[float, Floats]:
        parameters = coordinates.parameters(place)
        total = design.total(lambda some: part(parameters, some))
        pull = precision * parameters
        return float(total[-1] + parameters @ pull / 2), coordinates.gradient(total[:-1] + pull)

    result = minimize(
        objective,
        coordinates.of(start),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 1000, "maxcor": 20, "gtol": tolerance, "ftol": 1e-13},
    )
    return _Fit(coordinates.parameters(result.x), float(result.fun))


def _curvature(design: Design, rows: Rows, parameters: Floats) -> Curvature:
    """The second derivatives of the total loss, from some of the rows."""
    some = slice(None, None, max(1, len(rows.labels) // _ROWS_OF_CURVATURE))
    weights = rows.weights[some]
    ratio = float(rows.weights.sum() / weights.sum())
    return design.curvature(softmax(design.calibrated(parameters, some)), weights * ratio, some)
