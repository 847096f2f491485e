"""The minimum of a smooth convex function, by limited-memory BFGS."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .products import dot

Floats = npt.NDArray[np.float64]

_MEMORY = 20  # steps that the curvature is known from
_STEPS, _TRIALS = 1000, 30
_SUFFICIENT = 1e-4  # of the fall that the slope promises (Armijo's rule)
_ROUNDING = 1e-13  # of the value: a smaller decrease counts as none


class Minimum(NamedTuple):
    """The result of a search."""

    place: Floats
    value: float


class _Step(NamedTuple):
    moved: Floats
    turned: Floats  # the change of the slope
    product: float


def minimise(objective: Callable[[Floats], tuple[float, Floats]], start: Floats, tolerance: float) -> Minimum:
    """Return the minimum: no derivative is above `tolerance`, or further gains are rounding errors.

    The function should be nearly round, with second derivatives near 1: the first step is the slope itself.
    SciPy's minimiser of this kind takes products of long vectors by as many threads as it likes, which
    changes their last bits.

    Parameters
    ----------
    objective : callable
        Value and slope at a place.
    start : array, shape (numbers,)
        Where the search begins.
    tolerance : float
        Of the largest derivative.

    References
    ----------
    J. Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of Computation 35, 1980.
    """
    place = start
    value, slope = objective(place)
    steps: deque[_Step] = deque(maxlen=_MEMORY)
    for _ in range(_STEPS):
        if not np.abs(slope).max() > tolerance:
            break
        direction = -_scaled(slope, steps)
        descent = dot(direction, slope)
        found = _line_search(objective, place, direction, value, descent)
        if found is None:
            break
        new_place, new_value, new_slope = found
        moved, turned = new_place - place, new_slope - slope
        product = dot(moved, turned)
        if product > 0:
            steps.append(_Step(moved, turned, product))
        fall = value - new_value
        place, value, slope = found
        if fall <= _ROUNDING * max(abs(value), 1.0):
            break
    return Minimum(place, value)


def _line_search(
    objective: Callable[[Floats], tuple[float, Floats]],
    place: Floats,
    direction: Floats,
    value: float,
    descent: float,
) -> tuple[Floats, float, Floats] | None:
    """Return the first point along the direction that falls enough, or None."""
    length = 1.0
    for _ in range(_TRIALS):
        trial = place + length * direction
        new_value, new_slope = objective(trial)
        if new_value <= value + _SUFFICIENT * length * descent:
            return trial, new_value, new_slope
        bend = new_value - value - length * descent
        shorter = -descent * length / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.0
        length *= float(np.clip(shorter, 0.1, 0.5))
    return None


def _scaled(slope: Floats, steps: deque[_Step]) -> Floats:
    """Return the slope times the inverse of the curvature, as the last steps know it."""
    found, shares = slope.copy(), []
    for moved, turned, product in reversed(steps):
        share = dot(moved, found) / product
        found -= share * turned
        shares.append(share)
    if steps:
        last = steps[-1]
        found *= last.product / dot(last.turned, last.turned)
    for (moved, turned, product), share in zip(steps, reversed(shares), strict=True):
        found += (share - dot(turned, found) / product) * moved
    return found
