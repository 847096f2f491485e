"""Logits to logits: softcap, another prior, margins, with their derivatives."""

import math
from types import ModuleType

from .._arrays import Array, stop_gradient


def softcap(xp: ModuleType, x: Array, /, *, cap: float) -> Array:
    """Compute cap tanh(x / cap)."""
    return cap * xp.tanh(x / cap)


def softcap_vjp(xp: ModuleType, x: Array, cotangent: Array, /, *, cap: float) -> Array:
    """Compute g / cosh(x / cap)^2, as 4 e / (1 + e)^2 with e = exp(-2 |x| / cap), which cannot overflow."""
    decay = xp.exp(-2.0 * xp.abs(x / cap))
    return cotangent * (4.0 * decay / (1.0 + decay) ** 2)


def adjust_prior(xp: ModuleType, x: Array, shift: Array, /) -> Array:
    """Compute x + shift; a shift of -inf excludes the class for any logit."""
    return xp.where(shift == -xp.inf, -xp.inf, x + shift)


def adjust_prior_vjp(xp: ModuleType, cotangent: Array, shift: Array, /) -> Array:
    """Compute g, and 0 where the class is ruled out."""
    return xp.where(shift == -xp.inf, 0.0, cotangent)


def margin(
    xp: ModuleType, cosine: Array, chosen: Array, /, *, scale: float, angular: float, additive: float
) -> Array:
    """Compute scale (psi(theta + angular) - additive) at the target, scale cos(theta) elsewhere.

    psi is cos up to pi and -2 - cos beyond, so that it falls all the way.
    """
    inside = xp.clip(stop_gradient(cosine), -1.0, 1.0)
    sine = xp.sqrt((1.0 - inside) * (1.0 + inside))
    moved = inside * math.cos(angular) - sine * math.sin(angular)
    moved = xp.where(inside < -math.cos(angular), -2.0 - moved, moved) - additive
    # the derivative of sine is infinite at cosine 1: its value is as above, its derivatives are bounded
    derived = _bounded_margin(xp, inside + (cosine - stop_gradient(cosine)), angular)
    moved = moved + (derived - stop_gradient(derived))
    return scale * xp.where(chosen, moved, cosine)


def margin_vjp(
    xp: ModuleType, cosine: Array, cotangent: Array, chosen: Array, /, *, scale: float, angular: float
) -> Array:
    """Compute scale g, at the target times sin(theta + angular) / sin(theta)."""
    slope = _margin_slope(xp, xp.clip(cosine, -1.0, 1.0), angular)
    return scale * cotangent * xp.where(chosen, slope, 1.0)


def _bounded_margin(xp: ModuleType, cosine: Array, angular: float) -> Array:
    """Compute psi(theta + angular), but for a constant, such that `_margin_slope` is its derivative."""
    floor = xp.finfo(cosine.dtype).eps
    square = (1.0 - cosine) * (1.0 + cosine)
    near = square < floor
    sine = xp.where(near, -0.5 * cosine * cosine / math.sqrt(floor), xp.sqrt(xp.where(near, 1.0, square)))
    moved = cosine * math.cos(angular) - sine * math.sin(angular)
    return xp.where(cosine < -math.cos(angular), -moved, moved)


def _margin_slope(xp: ModuleType, cosine: Array, angular: float) -> Array:
    """Compute d psi(theta + angular) / d cos(theta), the sine held to at least sqrt(epsilon)."""
    floor = xp.finfo(cosine.dtype).eps
    square = (1.0 - cosine) * (1.0 + cosine)
    sine = xp.sqrt(xp.where(square < floor, floor, square))
    slope = math.cos(angular) + cosine / sine * math.sin(angular)
    return xp.where(cosine < -math.cos(angular), -slope, slope)
