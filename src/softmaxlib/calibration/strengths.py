"""The shrinkage of the parameters of a linear correction, learned from the data by the evidence.

A fit is penalised by normal priors; `learn` sets the deviation of each, as `structured` states it.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from .conditioning import Coordinates, Curvature
from .descent import Minimum, minimise
from .designs import GROUPS, Design, Floats, sums_of_groups
from .likelihood import Rows
from .products import dot
from .smoothing import Smoothing

ROUNDS = 15
SETTLED = 0.05  # relative change of the deviations' squares at which they are good enough
_FARTHEST = 4.0  # steps at once
COMMON_DEVIATION = 1.0  # of the factor that all classes share, in units of the features
_PLENTY = 80  # rows a class
LEARNING = 1e-2  # largest derivative of the total loss, by posterior deviation, while strengths are learned
DECISIVE = 20.0  # nats of evidence by which one origin, or smoothing, leaves another out of it
_FEW_KNOWN = 0.1  # parameters: of fewer no ratio is taken
_FEWEST_KNOWN = -0.9  # parameters: an estimate of a number that can't be below 0
_MOST = 25.0  # bound of the squared deviations
ROWS_OF_CURVATURE = 1024  # to find the coordinates of a search from


class Start(NamedTuple):
    """The start of a search for strengths: the end of another search on similar features."""

    squares: Floats  # of the deviations: intercepts, diagonal, off-diagonal
    parameters: Floats
    curvature: Curvature | None  # there, where it is known
    alone: Floats = np.empty(0)  # curvature by each parameter, as far as the others don't undo it
    beyond: Floats = np.ones(GROUPS)  # by group: the known parameters, to those known by these curvatures


class Learned(NamedTuple):
    """The strengths of regularisation, and where the fit stood when they were found."""

    smoothing: Smoothing
    start: Start
    evidence: float


def learn(
    design: Design, smoothing: Smoothing, rows: Rows, start: Start | None, bar: float = -np.inf
) -> Learned:
    """Return the strengths of largest evidence; given up where, at its pace, it won't come close to `bar`."""
    start = start or Start(_default(design), np.zeros(len(design.groups)), None)
    squares, parameters, curvature = start[:3]
    curvature = curvature or curvature_of(design, rows, parameters)
    evidence, update, rounds_left = -np.inf, Update(design, squares), ROUNDS
    objective = partial(design.loss_and_gradient, rows)
    while True:
        rounds_left -= 1
        precision = precision_of(design, update.deviations())
        coordinates = curvature.coordinates(precision)
        parameters, loss = most_probable(objective, precision, parameters, coordinates, LEARNING)
        if design.exact:
            curvature = design.curvature(rows, parameters)
            coordinates = curvature.coordinates(precision)
        found = design.evidence(rows, parameters, precision, coordinates)
        last, evidence = evidence, -loss - found.log_determinant / 2
        hopeless = evidence + rounds_left * (evidence - last) < bar - DECISIVE
        at, change = update.squares, update.after(parameters, found.known)
        if hopeless or change < SETTLED or not rounds_left:
            near = design.known(precision, coordinates)
            beyond = np.divide(found.known, near, out=np.ones(GROUPS), where=near > _FEW_KNOWN)
            alone = np.maximum(1 / coordinates.variances() - precision, 0.0)
            return Learned(smoothing, Start(at, parameters, curvature, alone, beyond), evidence)


class Update:
    """The steps of the deviations' squares."""

    def __init__(self, design: Design, squares: Floats) -> None:
        self.squares = squares
        self._groups, self._default = design.groups, _default(design)
        self._present = np.unique(design.groups[:-1])
        self._before: tuple[Floats, Floats] | None = None

    def deviations(self) -> Floats:
        """Return the deviations of all groups, including that of the common factor."""
        return with_common(np.sqrt(self.squares))

    def after(self, parameters: Floats, known: Floats) -> float:
        """Update the strengths by the parameters and their effective numbers; return the largest change.

        By the secant of the last two changes, up to four times as far.
        """
        count = len(self.squares)
        energy = sums_of_groups(self._groups, parameters**2)[:count]
        there = (energy + self._default) / (np.maximum(known[:count], _FEWEST_KNOWN) + 1)
        here, change = np.log(self.squares), np.log(there / self.squares)
        factor = np.ones(count)
        if self._before is not None:
            moved, slower = here - self._before[0], self._before[1] - change
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.where(moved * slower > 0, moved / slower, 1.0)
        self.squares = np.minimum(np.exp(here + change * np.clip(factor, 1.0, _FARTHEST)), _MOST)
        self._before = here, change
        return float(np.abs(change[self._present]).max())


def _default(design: Design) -> Floats:
    """Return the squares of deviations that count as one parameter."""
    return np.array([0.3, 0.3, 0.35 / np.sqrt(len(design.features.center))]) ** 2


def with_common(deviations: Floats, common: float = COMMON_DEVIATION) -> Floats:
    """Return the prior deviation of each group, that of the common factor included."""
    return np.append(deviations, common)


def precision_of(design: Design, deviations: Floats) -> Floats:
    """Return 1 / variance of the prior of each parameter."""
    return deviations[design.groups] ** -2.0


def widened(deviations: Floats, total_weight: float, classes: int) -> Floats:
    """Widen the learned priors, up to twice.

    About the mean of doubtful rows, a normal prior shrinks the few large weights of a sparse truth too much,
    where rows are plenty.
    """
    factor = 1 + min(1.0, total_weight / (_PLENTY * classes))
    return deviations * [1.0, factor, factor, 1.0]


def most_probable(
    loss_and_gradient: Callable[[Floats], tuple[float, Floats]],
    precision: Floats,
    start: Floats,
    coordinates: Coordinates,
    tolerance: float,
) -> Minimum:
    """Return the most probable parameters under a prior, and minus the log posterior there."""

    def objective(place: Floats) -> tuple[float, Floats]:
        parameters = coordinates.parameters(place)
        loss, gradient = loss_and_gradient(parameters)
        pull = precision * parameters
        return loss + dot(parameters, pull) / 2, coordinates.slope(gradient + pull)

    with np.errstate(all="ignore"):
        end = minimise(objective, coordinates.of(start), tolerance)
    return Minimum(coordinates.parameters(end.place), end.value)


def curvature_of(design: Design, rows: Rows, parameters: Floats) -> Curvature:
    """Return the second derivatives of the total loss, from some of the rows."""
    some = slice(None, None, max(1, len(rows.labels) // ROWS_OF_CURVATURE))
    few = rows.some(some)
    return design.some(some).curvature(few.times(rows.total_weight / few.total_weight), parameters)
