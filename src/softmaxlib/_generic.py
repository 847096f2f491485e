"""Every function's definition in array-API terms.

The readable specification, the oracle in tests, and what runs for arrays of any other library. `xp`
is an array-API namespace; axes are checked by the caller.
"""

import math
from types import ModuleType
from typing import Any

from ._arrays import device_of, stop_gradient

Array = Any
Axis = int | tuple[int, ...] | None


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
    """exp((x - max) / T) / sum of the same, the sink among the terms of the sum."""
    shifted, sink = _shifted(xp, x, axis, temperature, where, sink)
    weight = xp.exp(shifted)
    if where is not None:
        weight = xp.where(where, weight, 0.0)
    total = xp.sum(weight, axis=axis, keepdims=True)
    if sink is not None:
        total = total + xp.exp(sink)
    elif where is not None:
        total = xp.where(xp.any(where, axis=axis, keepdims=True), total, 1.0)
    return weight / total


def log_softmax(
    xp: ModuleType, x: Array, /, *, axis: Axis, temperature: float = 1.0, where: Array | None = None
) -> Array:
    """(x - max) / T - log1p(sum of exp((x - max) / T) over all but the maximum)."""
    shifted, _ = _shifted(xp, x, axis, temperature, where)
    result = shifted - xp.log1p(_sum_of_others(xp, shifted, axis, where))
    return result if where is None else xp.where(where, result, -xp.inf)


def logsumexp(
    xp: ModuleType, x: Array, /, *, axis: Axis, where: Array | None = None, keepdims: bool = False
) -> Array:
    """max + log1p(sum of exp(x - max) over all but the maximum)."""
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
    """exp(min(x, 0)) / (exp(min(x, 0)) + exp(min(-x, 0))): softmax of (x, 0), first entry."""
    # where, not minimum or abs: the derivative at 0 must come out as 1/4 in every library
    negative = xp.exp(xp.where(x < 0, x, 0.0))
    positive = xp.exp(xp.where(x < 0, 0.0, -x))
    return negative / (negative + positive)


def log_sigmoid(xp: ModuleType, x: Array, /) -> Array:
    """min(x, 0) - log1p(exp(-|x|))."""
    return xp.where(x < 0, x, 0.0) - xp.log1p(xp.exp(xp.where(x < 0, x, -x)))


def hardmax(xp: ModuleType, x: Array, /, *, axis: tuple[int, ...], where: Array | None = None) -> Array:
    """1 at the largest entry (the first of equals), 0 elsewhere."""
    x = x if where is None else xp.where(where, x, -xp.inf)
    undefined = xp.any(xp.isnan(x), axis=axis, keepdims=True)
    undefined = undefined | xp.all(x == -xp.inf, axis=axis, keepdims=True)
    result = xp.where(undefined, xp.nan, largest_place(xp, x, axis))
    return result if where is None else xp.where(where, result, 0.0)


def normalize(xp: ModuleType, x: Array, /, *, axis: tuple[int, ...], where: Array | None = None) -> Array:
    """x / sum(x)."""
    if where is None:
        return x / xp.sum(x, axis=axis, keepdims=True)
    x = xp.where(where, x, 0.0)
    total = xp.sum(x, axis=axis, keepdims=True)
    total = xp.where(xp.any(where, axis=axis, keepdims=True), total, 1.0)
    return xp.where(where, x / total, 0.0)


def log_softmax_jvp(
    xp: ModuleType, p: Array, tangent: Array, /, *, axis: tuple[int, ...], where: Array | None = None
) -> Array:
    """t - sum(p t)."""
    if where is not None:
        p, tangent = xp.where(where, p, 0.0), xp.where(where, tangent, 0.0)
    tangent = tangent - xp.sum(largest_place(xp, p, axis) * tangent, axis=axis, keepdims=True)
    result = tangent - xp.sum(p * tangent, axis=axis, keepdims=True)
    return result if where is None else xp.where(where, result, 0.0)


def log_softmax_vjp(
    xp: ModuleType, p: Array, cotangent: Array, /, *, axis: tuple[int, ...], where: Array | None = None
) -> Array:
    """g - p sum(g), where 1 - p of a class above 1/2 is the sum of the others."""
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
    """diag(p) - p p^T; each diagonal entry p (1 - p) as minus the sum of its row's others."""
    rows = to_rows(xp, p, axis)
    identity = xp.eye(rows.shape[-1], dtype=rows.dtype, device=device_of(rows))
    others = 0.0 - rows[..., :, None] * rows[..., None, :] * (1.0 - identity)
    return others - identity * xp.sum(others, axis=-1, keepdims=True)


def largest_place(xp: ModuleType, weight: Array, axis: tuple[int, ...]) -> Array:
    """One-hot place of the largest weight, a constant to automatic differentiation."""
    rows = to_rows(xp, weight, axis)
    places = xp.arange(rows.shape[-1], device=device_of(rows))
    places = xp.zeros_like(rows, dtype=places.dtype) + places  # lies over devices as the rows do
    chosen = xp.astype(places == xp.argmax(rows, axis=-1, keepdims=True), weight.dtype)
    return from_rows(xp, chosen, weight, axis)


def softcap(xp: ModuleType, x: Array, /, *, cap: float) -> Array:
    """cap tanh(x / cap)."""
    return cap * xp.tanh(x / cap)


def softcap_vjp(xp: ModuleType, x: Array, cotangent: Array, /, *, cap: float) -> Array:
    """g / cosh(x / cap)^2, as 4 e / (1 + e)^2 with e = exp(-2 |x| / cap), which cannot overflow."""
    decay = xp.exp(-2.0 * xp.abs(x / cap))
    return cotangent * (4.0 * decay / (1.0 + decay) ** 2)


def adjust_prior(xp: ModuleType, x: Array, shift: Array, /) -> Array:
    """x + shift; a shift of -inf rules the class out, whatever its logit."""
    return xp.where(shift == -xp.inf, -xp.inf, x + shift)


def adjust_prior_vjp(xp: ModuleType, cotangent: Array, shift: Array, /) -> Array:
    """g, and 0 where the class is ruled out."""
    return xp.where(shift == -xp.inf, 0.0, cotangent)


def margin(
    xp: ModuleType, cosine: Array, chosen: Array, /, *, scale: float, angular: float, additive: float
) -> Array:
    """scale (psi(theta + angular) - additive) at the target, scale cos(theta) elsewhere.

    psi is cos up to pi and -2 - cos beyond, so that it falls all the way.
    """
    inside = xp.clip(stop_gradient(cosine), -1.0, 1.0)
    sine = xp.sqrt((1.0 - inside) * (1.0 + inside))
    moved = inside * math.cos(angular) - sine * math.sin(angular)
    moved = xp.where(inside < -math.cos(angular), -2.0 - moved, moved) - additive
    # the derivative of sine is infinite at cosine 1: the slope is set, not derived
    moved = moved + _margin_slope(xp, inside, angular) * (cosine - stop_gradient(cosine))
    return scale * xp.where(chosen, moved, cosine)


def margin_vjp(
    xp: ModuleType, cosine: Array, cotangent: Array, chosen: Array, /, *, scale: float, angular: float
) -> Array:
    """scale g, at the target times sin(theta + angular) / sin(theta)."""
    slope = _margin_slope(xp, xp.clip(cosine, -1.0, 1.0), angular)
    return scale * cotangent * xp.where(chosen, slope, 1.0)


def _margin_slope(xp: ModuleType, cosine: Array, angular: float) -> Array:
    """d psi(theta + angular) / d cos(theta), the sine held to at least sqrt(epsilon)."""
    floor = xp.finfo(cosine.dtype).eps
    square = (1.0 - cosine) * (1.0 + cosine)
    sine = xp.sqrt(xp.where(square < floor, floor, square))
    slope = math.cos(angular) + cosine / sine * math.sin(angular)
    return xp.where(cosine < -math.cos(angular), -slope, slope)


def to_rows(xp: ModuleType, x: Array, axis: tuple[int, ...]) -> Array:
    """The reduced axes joined into one, the last, in the order in which they lie in the array."""
    kept = tuple(one for one in range(x.ndim) if one not in axis)
    moved = xp.permute_dims(x, kept + tuple(sorted(axis)))
    if len(axis) == 1:  # also where the number of rows is not known yet
        return moved
    return xp.reshape(moved, (*(x.shape[one] for one in kept), math.prod(x.shape[one] for one in axis)))


def from_rows(xp: ModuleType, rows: Array, like: Array, axis: tuple[int, ...]) -> Array:
    """The inverse of ``to_rows``."""
    order = tuple(one for one in range(like.ndim) if one not in axis) + tuple(sorted(axis))
    moved = rows if len(axis) == 1 else xp.reshape(rows, tuple(like.shape[one] for one in order))
    return xp.permute_dims(moved, tuple(order.index(one) for one in range(like.ndim)))


def _shifted(
    xp: ModuleType, x: Array, axis: Axis, temperature: float, where: Array | None, sink: Array | None = None
) -> tuple[Array, Array | None]:
    if where is not None:
        x = xp.where(where, x, -xp.inf)
    largest = xp.max(x, axis=axis, keepdims=True)
    if sink is not None:
        sink = xp.zeros_like(largest) + sink  # lies over devices as the rows do
        largest = xp.where(sink > largest, sink, largest)
    if where is not None:  # a whole row masked: nothing to subtract, and no NaN from inf - inf
        largest = xp.where(xp.any(where, axis=axis, keepdims=True), largest, 0.0 if sink is None else sink)
        x = xp.where(where, x, largest)
    return (x - largest) / temperature, None if sink is None else (sink - largest) / temperature


def _sum_of_others(xp: ModuleType, shifted: Array, axis: Axis, where: Array | None) -> Array:
    """Sum of exp, less the 1 of the largest entry (which is 0 here): beside it small ones would be lost."""
    axes = tuple(range(shifted.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    inside = shifted if where is None else xp.where(where, shifted, -xp.inf)
    top = largest_place(xp, inside, tuple(one % shifted.ndim for one in axes)) == 1
    # expm1 is 0 at the top (or NaN), and has the derivative that makes the choice among equals not matter
    return xp.sum(xp.where(top, xp.expm1(shifted), xp.exp(inside)), axis=axis, keepdims=True)


def widest_labels(xp: ModuleType, target: Array) -> Array:
    """Class indices in the widest signed type, so that they can be compared with any number of classes.

    What the type does not hold becomes its largest number, which is no class.
    """
    signed = xp.__array_namespace_info__().dtypes(kind="signed integer")
    widest = signed.get("int64", xp.int32)  # JAX without 64 bits has no int64
    label = xp.astype(target, widest, copy=False)
    if not xp.isdtype(target.dtype, "unsigned integer"):
        return label
    return xp.where(label < 0, xp.iinfo(widest).max, label)


def _times_logarithm(xp: ModuleType, terms: Array, log_p: Array, counts: Array) -> Array:
    """terms * log_p, where 0 * -inf is 0 and has the derivative -inf by the term.

    Such a logarithm is written as a product of two numbers whose product overflows: the 0 stays 0, and a
    derivative by it does not.
    """
    vanishes = (terms == 0) & (log_p == -xp.inf)
    large = xp.astype(counts, log_p.dtype) * (float(xp.finfo(log_p.dtype).max) / 2)
    return terms * xp.where(vanishes, -large, log_p) * xp.where(vanishes, large, 1.0)


def cross_entropy(
    xp: ModuleType, logits: Array, target: Array, /, *, reduction: str, **options: Any
) -> Array:
    """sum over c of w_c q'_c (1 - p_c)^gamma (-log p_c), plus z_loss logsumexp^2."""
    loss, row_weight, _ = cross_entropy_terms(xp, logits, target, **options)
    if reduction == "none":
        return loss
    return xp.sum(loss) / xp.sum(row_weight) if reduction == "mean" else xp.sum(loss)


def cross_entropy_grad(
    xp: ModuleType, logits: Array, target: Array, /, *, reduction: str, axis: int, **options: Any
) -> tuple[Array, Array]:
    """The loss, and C p_j - c_j with c_j = -d term_j / d log p_j and C their sum."""
    loss, row_weight, grad = cross_entropy_terms(xp, logits, target, axis=axis, **options)
    if reduction == "none":
        return loss, grad
    total = xp.sum(row_weight) if reduction == "mean" else 1.0
    return xp.sum(loss) / total, xp.where(grad == 0, grad, grad / total)


def cross_entropy_terms(
    xp: ModuleType,
    logits: Array,
    target: Array,
    /,
    *,
    axis: int,
    weight: Array | None,
    label_smoothing: float,
    ignore_index: int | None,
    focal_gamma: float,
    z_loss: float,
    where: Array | None,
) -> tuple[Array, Array, Array]:
    """The loss of each row, what each row counts in a mean, and the gradient of the sum."""
    device = device_of(logits)
    exists = xp.ones_like(logits, dtype=xp.bool)  # lies over devices as the logits do
    exists = exists if where is None else xp.broadcast_to(where, logits.shape)
    x, exists = to_rows(xp, logits, (axis % logits.ndim,)), to_rows(xp, exists, (axis % logits.ndim,))
    by_index = target.ndim == logits.ndim - 1
    counted = xp.any(xp.ones_like(x, dtype=xp.bool), axis=-1)  # all of them, in the shape of the rows
    if by_index:
        if ignore_index is not None:
            counted = target != ignore_index
        q = xp.astype(target[..., None] == xp.arange(x.shape[-1], dtype=target.dtype, device=device), x.dtype)
    else:
        q = to_rows(xp, target, (axis % logits.ndim,))
    x = xp.where(counted[..., None], x, 0.0)
    valued = counted
    if where is not None:  # a row that is masked throughout costs nothing: it is computed without its mask
        valued = counted & xp.any(exists, axis=-1)
        x = xp.where(valued[..., None], x, 0.0)
        exists = exists | ~valued[..., None]
    w = xp.asarray(1.0 if weight is None else weight, dtype=x.dtype, device=device)
    row_weight = xp.where(counted, xp.sum(w * q, axis=-1), 0.0)
    share = xp.astype(exists, x.dtype) / xp.sum(xp.astype(exists, x.dtype), axis=-1, keepdims=True)
    coefficient = w * ((1 - label_smoothing) * q + (label_smoothing * share if label_smoothing else 0.0))
    coefficient = xp.where(counted[..., None], coefficient, 0.0)

    log_p = log_softmax(xp, x, axis=-1, where=None if where is None else exists)
    p, complement = xp.exp(log_p), -xp.expm1(log_p)
    used = xp.where(coefficient == 0, 0.0, log_p)
    terms = coefficient * complement**focal_gamma
    loss = -xp.sum(
        terms * used if by_index else _times_logarithm(xp, terms, log_p, exists & (w > 0)), axis=-1
    )
    slope = coefficient * complement**focal_gamma
    if focal_gamma:
        certain = complement == 0
        inner = xp.where((p == 0) | certain, 0.0, p * used)
        steep = xp.where(certain, 0.0, xp.where(certain, 1.0, complement) ** (focal_gamma - 1))
        slope = slope - coefficient * focal_gamma * steep * inner
    pull = xp.sum(slope, axis=-1)
    if z_loss:
        log_total = logsumexp(xp, x, axis=-1, where=None if where is None else exists)
        loss = loss + z_loss * row_weight * log_total**2
        pull = pull + 2 * z_loss * row_weight * log_total
    grad = xp.where(exists & valued[..., None], (pull[..., None] - slope) * p - slope * complement, 0.0)
    mean_weight = row_weight if by_index else xp.ones_like(row_weight, dtype=x.dtype)
    return xp.where(valued, loss, 0.0), mean_weight, from_rows(xp, grad, logits, (axis % logits.ndim,))
