"""Newton's method with preconditioned conjugate gradients for a smooth convex objective.

Each step solves H d = -g only as far as it pays (Nash & Sofer; Dembo, Eisenstat & Steihaug, "Inexact
Newton methods", 1982), then halves it until the objective falls (Armijo). -g d / 2 estimates how far
the objective is above its minimum, whatever the scale of the features: the rule to stop by.
"""

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning

from ._curvature import Curvature
from ._objective import Objective, Point
from ._preconditioner import Preconditioner, without_common_part

Floats = npt.NDArray[np.float64]

_SHRINK = 8  # a start is sought on an eighth of the rows
_FEWEST = 4_000
_PRODUCTS = 200
_AFTER_NEWTON = 100.0  # a Newton step from a gap g leaves less than this times g^2 (10 was the most seen)
_QUADRATIC = 1e-6  # so near the minimum a Newton step is certain to lead there
_ROUNDING = 1e-16  # where a step costs little, the minimum is found to rounding
_RESOLVED = 1e-13  # below this, the objective's rounding hides which point is better
_OUTDATED = 8  # products with the Hessian in a step, above which the preconditioner is renewed


class Solution(NamedTuple):
    """The result of a minimisation."""

    weights: Floats
    steps: int
    gap: float


def minimize(objective: Objective, start: Floats, tolerance: float, steps: int) -> Solution:
    """Minimize. `tolerance` bounds the relative distance of the objective from the minimum."""
    start = _start_from_sample(objective, without_common_part(start), steps)
    aim = min(tolerance, _ROUNDING) if objective.is_small else tolerance
    solution = _newton(objective, start, aim, steps)
    if solution.gap > tolerance:
        warnings.warn(
            f"not at the minimum after max_iter={steps} steps: the objective can still fall by about "
            f"{solution.gap:.2g} of its value, tol is {tolerance:g}; raise max_iter",
            ConvergenceWarning,
            stacklevel=3,
        )
    return solution


def _start_from_sample(objective: Objective, start: Floats, steps: int) -> Floats:
    count = objective.label.size
    if count // _SHRINK < max(_FEWEST, 2 * start.size):
        return start
    rows = np.sort(np.random.default_rng(0).choice(count, count // _SHRINK, replace=False))
    if not objective.sample_weight[rows].any():
        return start
    subset = objective.subset(rows)
    return _newton(subset, _start_from_sample(subset, start, steps), 1e-2, steps).weights


def _newton(objective: Objective, start: Floats, tolerance: float, steps: int) -> Solution:
    curvature = Curvature(objective)
    point = objective.evaluate(start)
    preconditioner = None
    gap = np.inf
    for step in range(steps):
        if preconditioner is None:
            preconditioner = Preconditioner(objective, point.probability)
        direction, products = _direction(curvature, point, preconditioner, tolerance)
        slope = float(np.vdot(point.gradient, direction))
        gap = -0.5 * slope / max(point.value, np.finfo(float).tiny)
        left = _AFTER_NEWTON * gap**2
        if gap <= max(tolerance, _RESOLVED) or (gap <= _QUADRATIC and left <= tolerance):
            return Solution(point.weights + direction, step + 1, min(gap, left))
        following = _search(objective, point, direction, slope)
        if following is None:
            return Solution(point.weights, step, gap)
        point, gap = following, left
        if gap <= tolerance:
            return Solution(point.weights, step + 1, gap)
        if products > _OUTDATED:
            preconditioner = None
    return Solution(point.weights, steps, gap)


def _direction(
    curvature: Curvature, point: Point, preconditioner: Preconditioner, tolerance: float
) -> tuple[Floats, int]:
    """Solve H d = -g by conjugate gradients, as far as it pays. Also return the number of products with H.

    An exact step leaves a gap near the square of this one, so no more is worth solving for.
    """
    curvature.move_to(point.probability)
    residual = -point.gradient
    direction = np.zeros_like(residual)
    conditioned = preconditioner.solve(residual)
    search = conditioned.copy()
    energy = float(np.vdot(residual, conditioned))
    decrease, products = 0.0, 0
    while products < _PRODUCTS:
        products += 1
        product = curvature.product(search)
        bend = float(np.vdot(search, product))
        if not bend > 0:
            break
        length = energy / bend
        direction += length * search
        residual -= length * product
        gained = 0.5 * length * energy
        decrease += gained
        if gained <= 0.1 * max(min(0.5, decrease / point.value) * decrease, tolerance * point.value):
            break
        conditioned = preconditioner.solve(residual)
        energy, former = float(np.vdot(residual, conditioned)), energy
        search = conditioned + (energy / former) * search
    return direction, products


def _search(objective: Objective, point: Point, direction: Floats, slope: float) -> Point | None:
    """Halve the step until the objective falls by a share of the decrease that the slope predicts."""
    length = 1.0
    for _ in range(30):
        following = objective.evaluate(point.weights + length * direction)
        if following.value <= point.value + 1e-4 * length * slope:
            return following
        length /= 2
    return None
