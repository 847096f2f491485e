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

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .base import Weights
from .conditioning import Coordinates
from .designs import DIAGONAL, Features, Floats, Linear, sums_of_groups
from .feature_rows import MakeDesign, Problem, features_of
from .fit_rows import FitRows, HeldRows
from .likelihood import Rows
from .smoothing import Smoothing, candidate_smoothings, least_smoothing
from .strengths import (
    COMMON_DEVIATION,
    DECISIVE,
    LEARNING,
    ROUNDS,
    SETTLED,
    Learned,
    Start,
    Update,
    learn,
    most_probable,
    precision_of,
    widened,
    with_common,
)

_ENOUGH_ROWS, _ENOUGH_NUMBERS = 5000, 1_000_000  # to learn the strengths of regularisation from
_JUDGING = 3e-3  # at which a fit that only judges left-out rows ends
_FINEST = 1e-5  # at which the last fit ends
_FINE_NUMBERS = 1_000_000  # rows * classes; beyond, the tolerance grows with them up to 100 times
_ABSENT = 1e-9  # deviation of a factor that is to stay 0
_UNLIKELY = 0.02  # probability of a smoothing below which it plays no part


class Search(NamedTuple):
    """A fit about one origin, and all that a fit on most of the same rows can take over from it."""

    features: Features
    total_weight: float
    deviations: Floats  # of the prior of each group
    widens: bool  # whether the prior is wider than that
    learned: Start | None  # where the deviations were
    coordinates: Coordinates
    parameters: Floats


class Structured(NamedTuple):
    """Calibrated logits = weight applied to z + intercept, for the smoothed log-probabilities z."""

    smoothing: Smoothing
    linear: Linear
    deviations: Floats  # of the intercepts, the diagonal, the off-diagonal, about the mean of doubtful rows
    searches: tuple[Search, ...]  # their mean is the fit; none where nothing was found


def fit_structured(make_design: MakeDesign, rows: FitRows) -> Structured:
    """Return the mean of the fits with two origins, on all rows; how much to shrink is learned from some."""
    step = max(1, rows.count // max(_ENOUGH_ROWS, _ENOUGH_NUMBERS // rows.classes))
    every = step == 1
    held = rows.every(step)
    few = Rows(held.labels, held.weights, held.classes)
    first = _best_smoothing(make_design, held, few)
    about_doubt = features_of(rows, first.smoothing, step)
    deviations = np.sqrt(first.start.squares)
    search = _search(about_doubt.problem(make_design), first.start, every, widens=True)
    alone = Structured(first.smoothing, _mean(make_design, (search,)), deviations, (search,))

    about_certainty = about_doubt.about_certainty()
    start = first.start._replace(parameters=np.zeros_like(first.start.parameters), curvature=None)
    second = learn(make_design(about_certainty.few()), first.smoothing, few, start, first.evidence)
    if second.evidence < first.evidence - DECISIVE:
        return alone
    searches = search, _search(about_certainty.problem(make_design), second.start, every)
    return alone._replace(linear=_mean(make_design, searches), searches=searches)


def fit_penalised(make_design: MakeDesign, rows: FitRows) -> Structured:
    """Fit with the fixed penalties of Berta and others, about certainty and without a common factor."""
    classes = rows.classes
    smoothing = least_smoothing(rows)
    features = features_of(rows, smoothing, 1 + rows.count).about_certainty()
    squares = 1 / (2 * np.array([classes, classes, classes * (classes - 1)]))
    squares[DIAGONAL:] *= features.size**2
    deviations = np.sqrt(squares)
    problem = features.problem(make_design)
    start = Start(squares, np.zeros(len(problem.design.groups)), None)
    search = _search(problem, start, True, common=_ABSENT)
    search = search._replace(learned=None)
    return Structured(smoothing, _mean(make_design, (search,)), deviations, (search,))


def refit(
    make_design: MakeDesign,
    whole: Structured,
    some: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> Structured:
    """Fit as `whole` was fitted, on some of its rows, with its smoothing, starting from its strengths.

    Parameters
    ----------
    make_design : callable
        Of the fit on all rows.
    whole : Structured
        That fit.
    some : array
        Which of its rows, as an index.
    labels, weights : array
        Of these rows.
    """
    searches = [_search_again(make_design, search, some, labels, weights) for search in whole.searches]
    return whole._replace(linear=_mean(make_design, searches), searches=())


def _search_again(
    make_design: MakeDesign,
    search: Search,
    some: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    weights: Weights,
) -> Search:
    """Return a search, on some of its rows."""
    design = make_design(search.features.some(some))
    rows = Rows(labels, weights, len(search.features.center))
    objective = partial(design.loss_and_gradient, rows)
    deviations, parameters = search.deviations, search.parameters
    if search.learned is not None:
        update, parameters = Update(design, search.learned.squares), search.learned.parameters
        alone = search.learned.alone * (rows.total_weight / search.total_weight)
        for _ in range(ROUNDS):
            precision = precision_of(design, update.deviations())
            parameters, _ = most_probable(objective, precision, parameters, search.coordinates, LEARNING)
            known = sums_of_groups(design.groups, alone / (precision + alone))
            if update.after(parameters, search.learned.beyond * known) < SETTLED:
                break
        deviations = update.deviations()
    if search.widens:
        deviations = widened(deviations, rows.total_weight, len(search.features.center))
    precision = precision_of(design, deviations)
    end = most_probable(objective, precision, parameters, search.coordinates, _JUDGING)
    return search._replace(parameters=end.place)


def unfitted(make_design: MakeDesign, rows: FitRows) -> Structured:
    """Return temperature scaling alone: the correction that all priors are around."""
    smoothing, one = least_smoothing(rows), rows.every(rows.count)
    features = Features.of(smoothing(one.logits), one.weights)._replace(size=1.0)
    design = make_design(features)
    return Structured(smoothing, design.linear(np.zeros(len(design.groups))), np.zeros(3), ())


def _best_smoothing(make_design: MakeDesign, held: HeldRows, rows: Rows) -> Learned:
    """Return the fit with the largest evidence; if two smoothings are close, one between them."""

    def learned(smoothing: Smoothing, start: Start | None, bar: float = -np.inf) -> Learned:
        features = Features.of(smoothing(held.logits), held.weights)
        return learn(make_design(features), smoothing, rows, start, bar)

    candidates = candidate_smoothings(held)
    least = learned(candidates[0], None)
    if len(candidates) == 1:
        return least
    likely = learned(candidates[1], least.start, least.evidence)
    price = np.log(rows.total_weight) / 2  # of the floor, a parameter fitted to n rows (Schwarz)
    gain = likely.evidence - least.evidence - price
    share = 1 / (1 + float(np.exp(-np.clip(gain, -500.0, 500.0))))
    best = likely if gain > 0 else least
    if min(share, 1 - share) < _UNLIKELY:
        return best
    return learned(least.smoothing.toward(likely.smoothing, share), best.start)


def _search(
    problem: Problem, start: Start, of_these: bool, common: float = COMMON_DEVIATION, widens: bool = False
) -> Search:
    """Return the last fit, from a start whose curvature is that of these rows or of others."""
    design, deviations = problem.design, with_common(np.sqrt(start.squares), common)
    classes = len(design.features.center)
    prior = widened(deviations, problem.total_weight, classes) if widens else deviations
    precision = precision_of(design, prior)
    curvature = (of_these and start.curvature) or problem.curvature(start.parameters)
    coordinates = curvature.coordinates(precision)
    tolerance = _FINEST * min(max(1.0, problem.numbers / _FINE_NUMBERS), 100.0)
    end = most_probable(problem.loss_and_gradient, precision, start.parameters, coordinates, tolerance)
    return Search(design.features, problem.total_weight, deviations, widens, start, coordinates, end.place)


def _mean(make_design: MakeDesign, searches: Sequence[Search]) -> Linear:
    """Return the mean of the corrections that searches ended with."""
    found = []
    for search in searches:
        one = search.features._replace(standard=search.features.standard[:1])
        found.append(make_design(one).linear(search.parameters))
    return Linear(
        np.mean([one.weight for one in found], axis=0), np.mean([one.intercept for one in found], axis=0)
    )
