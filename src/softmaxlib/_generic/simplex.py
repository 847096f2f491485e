"""The maps onto the simplex other than softmax: entmax, sparsemax and Gumbel-softmax, with derivatives."""

import math
from types import ModuleType

from .._arrays import Array, stop_gradient
from .activations import hardmax, softmax
from .rows import from_rows, largest_place, places_along, to_rows


def entmax(
    xp: ModuleType, x: Array, /, *, axis: tuple[int, ...], alpha: Array, where: Array | None = None
) -> Array:
    """Return the p on the simplex that maximizes p . x + (1 - sum(p^alpha)) / (alpha (alpha - 1)).

    ``alpha`` is a Python number, or an array with one number per row and 1 on the axes.
    """
    if not isinstance(alpha, (int, float)):
        return _entmax_of_orders(xp, x, axis, alpha, where)
    if alpha == 1:
        return softmax(xp, x, axis=axis, where=where)
    rows = to_rows(xp, x if where is None else xp.where(where, x, -xp.inf), axis)
    top = xp.max(rows, axis=-1, keepdims=True)
    undefined = ~xp.isfinite(top)
    scaled = (alpha - 1.0) * (rows - xp.where(undefined, 0.0, top))
    # beyond -1 there is no support; a finite floor keeps -inf out of the derivatives
    scaled = xp.where(scaled > -2.0, scaled, -2.0)
    if alpha == 2:
        result = _sparsemax_rows(xp, scaled)
    elif alpha == 1.5:
        result = _entmax15_rows(xp, scaled)
    else:
        # up to order 2 the sum is convex in c, and Newton from the left cannot overshoot
        steps = (10, 8) if alpha < 1 else (10, 4) if alpha <= 2 else (xp.finfo(x.dtype).bits, 1)
        result = _entmax_rows(xp, scaled, alpha - 1.0, steps)
    result = from_rows(xp, xp.where(undefined, xp.nan, result), x, axis)
    return result if where is None else xp.where(where, result, 0.0)


def _entmax_of_orders(
    xp: ModuleType, x: Array, axis: tuple[int, ...], alpha: Array, where: Array | None
) -> Array:
    """Compute entmax with an order for each row; those of order 1 are softmax."""
    rows = to_rows(xp, x if where is None else xp.where(where, x, -xp.inf), axis)
    order = xp.broadcast_to(alpha - 1.0, tuple(1 if one in axis else n for one, n in enumerate(x.shape)))
    order = xp.reshape(to_rows(xp, order, axis), (*rows.shape[:-1], 1))
    top = xp.max(rows, axis=-1, keepdims=True)
    undefined = ~xp.isfinite(top)
    shifted = rows - xp.where(undefined, 0.0, top)
    is_softmax = order == 0
    order = xp.where(is_softmax, 0.5, order)
    scaled = order * shifted
    scaled = xp.where(scaled > -2.0, scaled, -2.0)
    result = _entmax_rows(xp, scaled, order, (xp.finfo(x.dtype).bits, 1))
    weight = xp.exp(shifted)
    result = xp.where(is_softmax, weight / xp.sum(weight, axis=-1, keepdims=True), result)
    result = from_rows(xp, xp.where(undefined, xp.nan, result), x, axis)
    return result if where is None else xp.where(where, result, 0.0)


def entmax_order_slope(
    xp: ModuleType, p: Array, /, *, axis: tuple[int, ...], alpha: Array, where: Array | None = None
) -> Array:
    """Compute dp / d alpha (Correia, Niculae & Martins, "Adaptively sparse transformers", 2019).

    With u = log p, d = alpha - 1, h = (exp(-d u) - 1 + d u) / d^2 and means over p, it is
    p (mean(h) - h - d (u mean(h) - h mean(u))) / mean(exp(-d u)): nothing in it cancels at alpha 1.
    """
    outside = p == 0 if where is None else (p == 0) | ~where
    u = xp.log(xp.where(outside, 1.0, p))
    order = alpha - 1.0
    v = -order * u
    near = xp.abs(v) < 0.5
    series = xp.zeros_like(v)
    for power in range(14, -1, -1):  # the sum of v^k / (k + 2)!
        series = series * xp.where(near, v, 0.0) + 1.0 / math.factorial(power + 2)
    far = xp.where(near, 1.0, v)
    h = u * u * xp.where(near, series, (xp.expm1(far) - far) / (far * far))
    mean_h = xp.sum(p * h, axis=axis, keepdims=True)
    mean_u = xp.sum(p * u, axis=axis, keepdims=True)
    total = 1.0 + xp.sum(p * xp.expm1(v), axis=axis, keepdims=True)
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
    cotangent = xp.where(outside, 0.0, cotangent)
    # relative to the largest weight's, so that its own entry is a sum of the others and keeps its digits
    cotangent = cotangent - xp.sum(largest_place(xp, weight, axis) * cotangent, axis=axis, keepdims=True)
    total = xp.sum(weight, axis=axis, keepdims=True)
    mean = xp.sum(weight * cotangent, axis=axis, keepdims=True) / xp.where(total == 0, 1.0, total)
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
    return simplex_vjp(xp, soft, cotangent, axis=axis, alpha=1.0, where=where) / temperature


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


def _entmax_rows(xp: ModuleType, z: Array, order: Array, steps: tuple[int, int]) -> Array:
    """Compute (1 + z - c)^(1 / order) where positive, by bisection and then Newton's method.

    The bisection only chooses among constants: the steps of Newton carry the derivative of c, so that
    automatic differentiation by z is right.
    """
    bisections, corrections = steps
    low = xp.zeros_like(xp.max(z, axis=-1, keepdims=True))
    # there the largest entry alone is 1 / K
    reach = -order * math.log(z.shape[-1])
    high = low - (math.expm1(reach) if isinstance(order, float) else xp.expm1(reach))
    for _ in range(bisections):
        middle = low + (high - low) / 2
        above = xp.sum(_power(xp, z - middle, order)[0], axis=-1, keepdims=True) >= 1
        low, high = xp.where(above, middle, low), xp.where(above, high, middle)
    for _ in range(corrections):
        p, slope = _power(xp, z - low, order)
        excess = xp.sum(p, axis=-1, keepdims=True) - 1.0
        low = low + order * excess / xp.sum(slope, axis=-1, keepdims=True)
    return _power(xp, z - low, order)[0]


def _power(xp: ModuleType, y: Array, order: Array) -> tuple[Array, Array]:
    """Compute p = (1 + y)^(1 / order) where positive, else 0, and p^(1 - order)."""
    inside = y > -1
    logarithm = xp.log1p(xp.where(inside, y, 0.0)) / order
    p = xp.where(inside, xp.exp(logarithm), 0.0)
    return p, xp.where(inside, xp.exp((1.0 - order) * logarithm), 0.0)
