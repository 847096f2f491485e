"""The maps onto the simplex other than softmax: entmax, sparsemax and Gumbel-softmax, with derivatives."""

import math
from types import ModuleType

from .._arrays import Array, stop_gradient
from .activations import hardmax, softmax
from .repetition import repeat
from .rows import from_rows, largest_place, places_along, to_rows
from .temperature import at_least_normal


def entmax(
    xp: ModuleType, x: Array, /, *, axis: tuple[int, ...], alpha: Array, where: Array | None = None
) -> Array:
    """Return the p on the simplex that maximizes p . x + (1 - sum(p^alpha)) / (alpha (alpha - 1)).

    ``alpha`` is a Python number, or an array with one number per row and 1 on the axes.
    """
    one_order = isinstance(alpha, (int, float))
    if one_order and alpha == 1:
        return softmax(xp, x, axis=axis, where=where)
    rows = to_rows(xp, x if where is None else xp.where(where, x, -xp.inf), axis)
    top = xp.max(rows, axis=-1, keepdims=True)
    undefined = ~xp.isfinite(top)
    shifted = rows - xp.where(undefined, 0.0, top)
    if rows.shape[-1] == 1:
        result = xp.ones_like(rows)
    elif one_order:
        result = _entmax_of_one_order(xp, shifted, alpha)
    else:
        kept = tuple(1 if one in axis else length for one, length in enumerate(x.shape))
        alpha = to_rows(xp, xp.broadcast_to(alpha, kept), axis)
        result = _entmax_of_orders(xp, shifted, xp.reshape(alpha, (*rows.shape[:-1], 1)))
    result = from_rows(xp, xp.where(undefined, xp.nan, result), x, axis)
    return result if where is None else xp.where(where, result, 0.0)


def _entmax_of_one_order(xp: ModuleType, shifted: Array, alpha: float) -> Array:
    scaled = _scaled(xp, shifted, alpha - 1.0)
    if alpha == 2:
        return _sparsemax_rows(xp, scaled)
    if alpha == 1.5:
        return _entmax15_rows(xp, scaled)
    if alpha > 2:
        return _with_derivatives(xp, _steep_rows(xp, scaled, alpha - 1.0), shifted, alpha)
    result = _smooth_rows(xp, scaled, alpha - 1.0)
    return xp.where(shifted > -xp.inf, result, 0.0)


def _entmax_of_orders(xp: ModuleType, shifted: Array, alpha: Array) -> Array:
    """Compute entmax with an order for each row; those of order 1 are softmax."""
    is_softmax = alpha == 1
    order = xp.where(is_softmax, 0.5, alpha - 1.0)
    result = _steep_rows(xp, _scaled(xp, shifted, order), order)
    weight = xp.exp(shifted)
    result = xp.where(is_softmax, weight / xp.sum(weight, axis=-1, keepdims=True), result)
    return _with_derivatives(xp, xp.where(shifted > -xp.inf, result, 0.0), shifted, alpha)


def _scaled(xp: ModuleType, shifted: Array, order: Array) -> Array:
    """Compute order * shifted, with finite limits instead of infinities.

    They keep -inf out of the derivatives. Below -1 there is no support.
    """
    scaled, limit = order * shifted, float(xp.finfo(shifted.dtype).max)
    scaled = xp.where(scaled > -2.0, scaled, -2.0)
    return xp.where(scaled < limit, scaled, limit)


def _with_derivatives(xp: ModuleType, p: Array, shifted: Array, alpha: Array) -> Array:
    """Return p, with its derivatives by the logits and by ``alpha``, where the library has derivatives."""
    constant = stop_gradient(shifted)
    if constant is shifted:
        return p
    p, axis, known = stop_gradient(p), (p.ndim - 1,), stop_gradient(alpha)
    result = p + simplex_vjp(xp, p, shifted - constant, axis=axis, alpha=known)
    if isinstance(alpha, (int, float)):
        return result
    return result + entmax_order_slope(xp, p, axis=axis, alpha=known) * (alpha - known)


def entmax_order_slope(
    xp: ModuleType, p: Array, /, *, axis: tuple[int, ...], alpha: Array, where: Array | None = None
) -> Array:
    """Compute dp / d alpha (Correia, Niculae & Martins, "Adaptively sparse transformers", 2019).

    With u = log p, d = alpha - 1, h = (exp(-d u) - 1 + d u) / d^2 and means over p, it is
    p (mean(h) - h - d (u mean(h) - h mean(u))) / mean(exp(-d u)): nothing in it cancels at alpha 1.
    Numerator and denominator are divided by the largest exp(-d u) where that might overflow.
    """
    outside = p == 0 if where is None else (p == 0) | ~where
    u = xp.log(xp.where(outside, 1.0, p))
    order = alpha - 1.0
    v = -order * u
    most = xp.max(v, axis=axis, keepdims=True)
    excess = xp.where(most > 30.0, most, 0.0)
    unit = xp.exp(-excess)
    near = xp.abs(v) < 0.5
    series = xp.zeros_like(v)
    for power in range(14, -1, -1):  # the sum of v^k / (k + 2)!
        series = series * xp.where(near, v, 0.0) + 1.0 / math.factorial(power + 2)
    far = xp.where(near, 1.0, v)
    remainder = xp.expm1(far - excess) + (1.0 - unit) - far * unit  # exp(v) - 1 - v, times the unit
    h = u * u * xp.where(near, series * unit, remainder / (far * far))
    mean_h = xp.sum(p * h, axis=axis, keepdims=True)
    mean_u = xp.sum(p * u, axis=axis, keepdims=True)
    total = 1.0 + xp.sum(p * xp.expm1(v - excess), axis=axis, keepdims=True)
    result = p * (mean_h - h - order * (u * mean_h - h * mean_u)) / total
    return xp.where(outside, 0.0, result)


def simplex_vjp(
    xp: ModuleType,
    p: Array,
    cotangent: Array,
    /,
    *,
    axis: tuple[int, ...],
    alpha: Array,
    where: Array | None = None,
) -> Array:
    """Compute s (g - sum(s g) / sum(s)) with s = p^(2 - alpha) on the support: softmax 1, sparsemax 2."""
    outside = p == 0 if where is None else (p == 0) | ~where
    weight = xp.where(outside, 0.0, xp.where(outside, 1.0, p) ** (2.0 - alpha))
    weight = xp.where(xp.isnan(p) & ~outside, p, weight)  # NaN to the power 0 would be 1
    cotangent, share = xp.where(outside, 0.0, cotangent), weight
    # relative to the largest weight's, so that its own entry is a sum of the others and keeps its digits
    largest = largest_place(xp, weight, axis)
    cotangent = cotangent - xp.sum(largest * cotangent, axis=axis, keepdims=True)
    if not isinstance(alpha, (int, float)) or alpha > 2:  # weights of small p are large: no sum may overflow
        limit = float(xp.finfo(p.dtype).max) / 2.0**32
        weight = xp.where(weight > limit, limit, weight)
        most = xp.sum(largest * weight, axis=axis, keepdims=True)
        share = weight / xp.where(most == 0, 1.0, most)
    total = xp.sum(share, axis=axis, keepdims=True)
    mean = xp.sum(share * cotangent, axis=axis, keepdims=True) / xp.where(total == 0, 1.0, total)
    return xp.where(outside, 0.0, weight * (cotangent - mean))


def gumbel_softmax(
    xp: ModuleType,
    x: Array,
    noise: Array,
    /,
    *,
    axis: tuple[int, ...],
    temperature: float,
    hard: bool,
    where: Array | None = None,
) -> Array:
    """Compute softmax((x + noise) / T); hard: its one-hot limit, with the derivative of the soft one."""
    soft = softmax(xp, x + noise, axis=axis, temperature=temperature, where=where)
    if not hard:
        return soft
    return hardmax(xp, x + noise, axis=axis, where=where) + (soft - stop_gradient(soft))


def gumbel_softmax_vjp(
    xp: ModuleType,
    x: Array,
    cotangent: Array,
    noise: Array,
    /,
    *,
    axis: tuple[int, ...],
    temperature: float,
    where: Array | None = None,
) -> Array:
    """Compute the derivative of softmax at the soft sample, over T."""
    soft = softmax(xp, x + noise, axis=axis, temperature=temperature, where=where)
    slope = simplex_vjp(xp, soft, cotangent, axis=axis, alpha=1.0, where=where)
    return slope / at_least_normal(xp, temperature, slope.dtype)


def _sparsemax_rows(xp: ModuleType, z: Array) -> Array:
    """Compute z - tau where positive, tau from the sorted row (Martins & Astudillo 2016, algorithm 1)."""
    ordered = xp.sort(z, axis=-1, descending=True)
    count = 1.0 + places_along(xp, z, z.dtype)
    inside = 1.0 + count * ordered > xp.cumulative_sum(ordered, axis=-1)
    support, size = _support(xp, z, ordered, inside)
    tau = (xp.sum(xp.where(support, z, 0.0), axis=-1, keepdims=True) - 1.0) / size
    return xp.where(support & (z > tau), z - tau, 0.0)


def _entmax15_rows(xp: ModuleType, z: Array) -> Array:
    """Compute (z - tau)^2 where z > tau, with tau from the sorted row (Peters et al. 2019, algorithm 2)."""
    ordered = xp.sort(z, axis=-1, descending=True)
    count = 1.0 + places_along(xp, z, z.dtype)
    mean = xp.cumulative_sum(ordered, axis=-1) / count
    spread = xp.cumulative_sum(ordered * ordered, axis=-1) - count * mean * mean
    room = (1.0 - spread) / count
    inside = mean - xp.sqrt(xp.where(room > 0, room, 0.0)) <= ordered
    support, size = _support(xp, z, ordered, inside)
    mean = xp.sum(xp.where(support, z, 0.0), axis=-1, keepdims=True) / size
    spread = xp.sum(xp.where(support, (z - mean) ** 2, 0.0), axis=-1, keepdims=True)
    tau = mean - xp.sqrt((1.0 - spread) / size)
    return xp.where(support & (z > tau), (z - tau) ** 2, 0.0)


def _support(xp: ModuleType, z: Array, ordered: Array, inside: Array) -> tuple[Array, Array]:
    """Return which entries belong to the support, from the sorted row, and their number."""
    place = xp.sum(xp.astype(inside, xp.int32), axis=-1, keepdims=True, dtype=xp.int32) - 1
    is_smallest = places_along(xp, z, xp.int32) == place
    smallest = xp.sum(xp.where(is_smallest, ordered, 0.0), axis=-1, keepdims=True)
    support = z >= smallest
    return support, xp.sum(xp.astype(support, z.dtype), axis=-1, keepdims=True)


def _smooth_rows(xp: ModuleType, z: Array, order: float) -> Array:
    """Compute (u + z)^(1 / order) where positive, for orders below 1, by bisection and Newton's method.

    The bisection only chooses a constant: the steps of Newton carry the derivative of u, so that automatic
    differentiation by z is right.
    """
    low, high = _bracket(xp, z, order, 10)
    # the sum is convex in the largest probability for orders above 0, and concave below: no step goes too far
    largest = xp.exp(high if order > 0 else low)
    for _ in range(4):
        relative, slope = _relative(xp, z, order, largest**-order, 1.0, 1.0 - order)
        excess = largest * xp.sum(relative, axis=-1, keepdims=True) - 1.0
        largest = largest - excess / xp.sum(slope, axis=-1, keepdims=True)
    (relative,) = _relative(xp, z, order, largest**-order, 1.0)
    return largest * relative


def _steep_rows(xp: ModuleType, z: Array, order: Array) -> Array:
    """Compute (u + z)^(1 / order) where positive, for any order, by bisection to the last bit.

    Above order 1 an entry rises from 0 with infinite slope, from one float of the largest probability to the
    next. So the two ends of the bracket share what is left of the sum.
    """
    digits = round(-math.log2(float(xp.finfo(z.dtype).eps)))
    ends = _bracket(xp, z, order, digits + 5)
    lesser, greater = (
        largest * relative for largest, relative in (_largest_and_relative(xp, z, order, one) for one in ends)
    )
    missing = 1.0 - xp.sum(lesser, axis=-1, keepdims=True)
    gain = xp.sum(greater - lesser, axis=-1, keepdims=True)
    share = xp.where((missing > 0) & (gain > 0), missing / gain, 0.0)
    return lesser + share * (greater - lesser)


def _bracket(xp: ModuleType, z: Array, order: Array, steps: int) -> tuple[Array, Array]:
    """Enclose the logarithm of the largest probability, which is u^(1 / order), by bisection."""
    z = stop_gradient(z)
    high = xp.zeros_like(xp.max(z, axis=-1, keepdims=True))

    def halve(low: Array, high: Array) -> tuple[Array, Array]:
        middle = low + (high - low) / 2
        largest, relative = _largest_and_relative(xp, z, order, middle)
        below = largest * xp.sum(relative, axis=-1, keepdims=True) < 1
        return xp.where(below, middle, low), xp.where(below, high, middle)

    return repeat(steps, halve, (high - math.log(z.shape[-1]), high))


def _largest_and_relative(xp: ModuleType, z: Array, order: Array, logarithm: Array) -> tuple[Array, Array]:
    """Return the largest probability from its logarithm, and each one relative to it."""
    most = math.log(float(xp.finfo(z.dtype).max)) - 1.0
    exponent = -order * logarithm
    scale = xp.exp(xp.where(exponent < most, exponent, most))  # finite, so that 0 stays 0
    return xp.exp(logarithm), *_relative(xp, z, order, scale, 1.0)


def _relative(xp: ModuleType, z: Array, order: Array, scale: Array, *powers: float) -> tuple[Array, ...]:
    """Return powers of (1 + z / u)^(1 / order), which is p over the largest p, from 1 / u; 0 outside."""
    y = z * scale
    inside = y > -1
    logarithm = xp.log1p(xp.where(inside, y, 0.0)) / order
    return tuple(xp.where(inside, xp.exp(power * logarithm), 0.0) for power in powers)
