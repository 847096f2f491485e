"""softmax, its logarithm and its relatives, with their derivatives."""

from types import ModuleType

from .._arrays import Array, Axis, device_of, stop_gradient
from .rows import largest_place, to_rows, with_axes
from .temperature import at_least_normal


def softmax(
    xp: ModuleType,
    x: Array,
    /,
    *,
    axis: Axis,
    temperature: float = 1.0,
    where: Array | None = None,
    sink: Array | None = None,
) -> Array:
    """Compute exp((x - max) / T) / sum of the same, the sink among the terms of the sum."""
    shifted, sink = _shifted(xp, x, axis, temperature, where, sink)
    weight = xp.exp(shifted)
    if where is not None:
        weight = xp.where(where, weight, 0.0)
    total = xp.sum(weight, axis=axis, keepdims=True)
    if sink is not None:
        total = total + xp.exp(sink)
    elif where is not None:
        total = xp.where(xp.any(where, axis=axis, keepdims=True), total, 1.0)
    return weight / total if where is None else xp.where(where, weight / total, 0.0)


def log_softmax(
    xp: ModuleType, x: Array, /, *, axis: Axis, temperature: float = 1.0, where: Array | None = None
) -> Array:
    """Compute (x - max) / T - log1p(sum of exp((x - max) / T) over all but the maximum)."""
    shifted, _ = _shifted(xp, x, axis, temperature, where)
    result = shifted - xp.log1p(_sum_of_others(xp, shifted, axis, where))
    return result if where is None else xp.where(where, result, -xp.inf)


def logsumexp(
    xp: ModuleType, x: Array, /, *, axis: Axis, where: Array | None = None, keepdims: bool = False
) -> Array:
    """Compute max + log1p(sum of exp(x - max) over all but the maximum)."""
    if where is not None:
        x = xp.where(where, x, -xp.inf)
    largest = xp.max(x, axis=axis, keepdims=True)
    finite = xp.where(xp.isfinite(largest), largest, 0.0)
    result = finite + xp.log1p(_sum_of_others(xp, x - finite, axis, where))
    result = xp.where(xp.isfinite(largest), result, largest)
    if keepdims:
        return result
    axes = tuple(range(x.ndim)) if axis is None else axis
    return xp.squeeze(result, axis=axes)


def sigmoid(xp: ModuleType, x: Array, /) -> Array:
    """Compute exp(min(x, 0)) / (exp(min(x, 0)) + exp(min(-x, 0))): softmax of (x, 0), first entry."""
    # where, not minimum or abs: the derivative at 0 must come out as 1/4 in every library
    negative = xp.exp(xp.where(x < 0, x, 0.0))
    positive = xp.exp(xp.where(x < 0, 0.0, -x))
    return negative / (negative + positive)


def log_sigmoid(xp: ModuleType, x: Array, /) -> Array:
    """Compute min(x, 0) - log1p(exp(-|x|))."""
    return xp.where(x < 0, x, 0.0) - xp.log1p(xp.exp(xp.where(x < 0, x, -x)))


def one_minus_exp(xp: ModuleType, x: Array, /) -> Array:
    """Compute 1 - exp(x) of numbers up to 0, with derivatives that keep their digits.

    Libraries compute the derivative of expm1 as its result plus 1, which is 0 far below 0.
    """
    near = x > -1.0
    return xp.where(near, -xp.expm1(xp.where(near, x, 0.0)), 1.0 - xp.exp(x))


def hardmax(xp: ModuleType, x: Array, /, *, axis: tuple[int, ...], where: Array | None = None) -> Array:
    """Compute 1 at the largest entry (the first of equals), 0 elsewhere."""
    x = x if where is None else xp.where(where, x, -xp.inf)
    top = xp.max(x, axis=axis, keepdims=True)  # NaN where there is one
    result = xp.where(top > -xp.inf, largest_place(xp, x, axis), xp.nan)
    return result if where is None else xp.where(where, result, 0.0)


def normalize(xp: ModuleType, x: Array, /, *, axis: tuple[int, ...], where: Array | None = None) -> Array:
    """Compute x / sum(x), of smaller numbers in the same ratios where the sum overflows."""
    if where is not None:
        x = xp.where(where, x, 0.0)
    total = xp.sum(x, axis=axis, keepdims=True)
    x = x * xp.where(xp.isfinite(total), xp.ones_like(total), 2.0**-64)
    total = xp.sum(x, axis=axis, keepdims=True)
    if where is None:
        return x / total
    total = xp.where(xp.any(where, axis=axis, keepdims=True), total, 1.0)
    return xp.where(where, x / total, 0.0)


def log_softmax_jvp(
    xp: ModuleType, p: Array, tangent: Array, /, *, axis: tuple[int, ...], where: Array | None = None
) -> Array:
    """Compute t - sum(p t)."""
    if where is not None:
        p, tangent = xp.where(where, p, 0.0), xp.where(where, tangent, 0.0)
    tangent = tangent - xp.sum(largest_place(xp, p, axis) * tangent, axis=axis, keepdims=True)
    result = tangent - xp.sum(p * tangent, axis=axis, keepdims=True)
    return result if where is None else xp.where(where, result, 0.0)


def log_softmax_vjp(
    xp: ModuleType, p: Array, cotangent: Array, /, *, axis: tuple[int, ...], where: Array | None = None
) -> Array:
    """Compute g - p sum(g), where 1 - p of a class above 1/2 is the sum of the others."""
    if where is not None:
        p, cotangent = xp.where(where, p, 0.0), xp.where(where, cotangent, 0.0)
    largest = largest_place(xp, p, axis)
    others_p = xp.sum(p * (1.0 - largest), axis=axis, keepdims=True)
    others_g = xp.sum(cotangent * (1.0 - largest), axis=axis, keepdims=True)
    confident = others_p * cotangent - p * others_g
    total = xp.sum(cotangent, axis=axis, keepdims=True)
    result = xp.where((largest == 1) & (p > 0.5), confident, cotangent - p * total)
    return result if where is None else xp.where(where, result, 0.0)


def softmax_jacobian(xp: ModuleType, p: Array, /, *, axis: tuple[int, ...]) -> Array:
    """Compute diag(p) - p p^T; each diagonal entry p (1 - p) as minus the sum of its row's others."""
    rows = to_rows(xp, p, axis)
    identity = xp.eye(rows.shape[-1], dtype=rows.dtype, device=device_of(rows))
    identity = with_axes(xp, identity, rows.ndim + 1)
    others = 0.0 - rows[..., :, None] * rows[..., None, :] * (1.0 - identity)
    return others - identity * xp.sum(others, axis=-1, keepdims=True)


def _shifted(
    xp: ModuleType, x: Array, axis: Axis, temperature: Array, where: Array | None, sink: Array | None = None
) -> tuple[Array, Array | None]:
    if where is not None:
        x = xp.where(where, x, -xp.inf)
    largest = xp.max(x, axis=axis, keepdims=True)
    if sink is not None:
        sink = xp.zeros_like(largest) + sink  # lies over devices as the rows do
        largest = xp.where(sink > largest, sink, largest)
    if where is not None:  # a whole row masked: nothing to subtract, and no NaN from inf - inf
        some = xp.any(where, axis=axis, keepdims=True)
        largest = xp.where(some, largest, 0.0)
        sink = None if sink is None else xp.where(some, sink, 0.0)
        x = xp.where(where, x, largest)
    shifted = x - largest
    if isinstance(temperature, (int, float)):
        temperature = at_least_normal(xp, temperature, shifted.dtype)
        return shifted / temperature, None if sink is None else (sink - largest) / temperature
    # one that a framework traces has not been checked: NaN rather than numbers that mean nothing
    temperature = xp.where(temperature > 0, temperature, xp.nan)
    temperature = at_least_normal(xp, temperature, shifted.dtype)
    sink = None if sink is None else (sink - largest) / temperature
    constant = stop_gradient(temperature)
    scaled = shifted / constant
    finite = xp.isfinite(scaled)  # infinite entries do not change with the temperature
    # the ratio is 1, and has the derivative: that of shifted / T contains 1 / T^2, which may overflow
    return xp.where(finite, xp.where(finite, scaled, 0.0) / (temperature / constant), scaled), sink


def _sum_of_others(xp: ModuleType, shifted: Array, axis: Axis, where: Array | None) -> Array:
    """Sum of exp, less the 1 of the largest entry (which is 0 here): beside it small ones would be lost."""
    axes = tuple(range(shifted.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    inside = shifted if where is None else xp.where(where, shifted, -xp.inf)
    top = largest_place(xp, inside, tuple(one % shifted.ndim for one in axes)) == 1
    # expm1 is 0 at the top (or NaN), and has the derivative that makes the choice among equals not matter
    return xp.sum(xp.where(top, xp.expm1(shifted), xp.exp(inside)), axis=axis, keepdims=True)
