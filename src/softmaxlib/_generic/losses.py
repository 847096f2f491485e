"""Cross-entropy with its options, and its gradient; of rows, and of binary logits."""

from types import ModuleType
from typing import Any

from .._arrays import Array, device_of, stop_gradient
from .activations import log_sigmoid, log_softmax, logsumexp, one_minus_exp, sigmoid
from .rows import from_rows, places_along, to_rows, with_axes


def cross_entropy(
    xp: ModuleType, logits: Array, target: Array, /, *, reduction: str, **options: Any
) -> Array:
    """Compute sum over c of w_c q'_c (1 - p_c)^gamma (-log p_c), plus z_loss logsumexp^2."""
    loss, row_weight, _ = cross_entropy_terms(xp, logits, target, **options)
    if reduction == "none":
        return loss
    return mean_of(xp, loss, xp.sum(row_weight)) if reduction == "mean" else xp.sum(loss)


def cross_entropy_grad(
    xp: ModuleType, logits: Array, target: Array, /, *, reduction: str, axis: int, **options: Any
) -> tuple[Array, Array]:
    """Return the loss, and C p_j - c_j with c_j = -d term_j / d log p_j and C their sum."""
    loss, row_weight, grad = cross_entropy_terms(xp, logits, target, axis=axis, **options)
    if reduction == "none":
        return loss, grad
    if reduction == "sum":
        return xp.sum(loss), grad
    total = xp.sum(row_weight)
    # the divisor is changed, not the quotient: where that is 0 at a minimum, its derivative is not
    return mean_of(xp, loss, total), grad / xp.where((grad == 0) & (total == 0), 1.0, total)


def mean_of(xp: ModuleType, losses: Array, total_weight: Array) -> Array:
    """Compute sum(losses) / total_weight, of smaller numbers where the sum overflows."""
    total = xp.sum(losses)
    scale = xp.where(xp.isfinite(total), xp.ones_like(total), 2.0**-64)
    return xp.sum(losses * scale) / total_weight / scale


def cross_entropy_terms(
    xp: ModuleType,
    logits: Array,
    target: Array,
    /,
    *,
    axis: int,
    class_weight: Array | None,
    label_smoothing: float,
    ignore_index: int | None,
    focal_gamma: float,
    z_loss: float,
    where: Array | None,
) -> tuple[Array, Array, Array]:
    """Return the loss of each row, its weight in a mean, and the gradient of the sum."""
    exists = xp.ones_like(logits, dtype=xp.bool)  # lies over devices as the logits do
    exists = exists if where is None else xp.broadcast_to(where, logits.shape)
    x, exists = to_rows(xp, logits, (axis % logits.ndim,)), to_rows(xp, exists, (axis % logits.ndim,))
    by_index = target.ndim == logits.ndim - 1
    counted = xp.any(xp.ones_like(x, dtype=xp.bool), axis=-1)  # all of them, in the shape of the rows
    if by_index:
        if ignore_index is not None:
            counted = target != ignore_index
        q = xp.astype(target[..., None] == places_along(xp, x, target.dtype), x.dtype)
    else:
        q = to_rows(xp, target, (axis % logits.ndim,))
    x = xp.where(counted[..., None], x, 0.0)
    valued = counted
    if where is not None:  # a row that is masked throughout costs nothing: it is computed without its mask
        valued = counted & xp.any(exists, axis=-1)
        x = xp.where(valued[..., None], x, 0.0)
        exists = exists | ~valued[..., None]
    w = with_axes(xp, _as_weight(xp, 1.0 if class_weight is None else class_weight, logits, x.dtype), x.ndim)
    row_weight = xp.where(counted, xp.sum(w * q, axis=-1), 0.0)
    share = xp.astype(exists, x.dtype) / xp.sum(xp.astype(exists, x.dtype), axis=-1, keepdims=True)
    coefficient = w * ((1 - label_smoothing) * q + (label_smoothing * share if label_smoothing else 0.0))
    coefficient = xp.where(counted[..., None], coefficient, 0.0)

    log_p = log_softmax(xp, x, axis=-1, where=None if where is None else exists)
    p, complement = xp.exp(log_p), one_minus_exp(xp, log_p)
    used = xp.where(coefficient == 0, 0.0, log_p)
    terms = coefficient * _power(xp, complement, focal_gamma) if focal_gamma else coefficient
    loss = -xp.sum(
        terms * used if by_index else _times_logarithm(xp, terms, log_p, exists & (w > 0)), axis=-1
    )
    slope = terms
    if focal_gamma:
        slope = terms * (1.0 + focal_gamma * _odds_times_surprise(xp, p, complement, log_p))
    # the slopes of the others are added up where p is near 1: pull - slope, and its derivative, lose digits
    confident = p > 0.75
    pull = xp.sum(slope, axis=-1)
    others = xp.sum(xp.where(confident, 0.0, slope), axis=-1)
    if z_loss:
        log_total = logsumexp(xp, x, axis=-1, where=None if where is None else exists)
        loss = loss + z_loss * row_weight * log_total**2
        pull = pull + 2 * z_loss * row_weight * log_total
        others = others + 2 * z_loss * row_weight * log_total
    others = xp.where(confident, others[..., None], pull[..., None] - slope)
    grad = xp.where(exists & valued[..., None], others * p - slope * complement, 0.0)
    mean_weight = row_weight if by_index else xp.ones_like(row_weight, dtype=x.dtype)
    return xp.where(valued, loss, 0.0), mean_weight, from_rows(xp, grad, logits, (axis % logits.ndim,))


def _as_weight(xp: ModuleType, weight: Any, logits: Array, dtype: Any) -> Array:
    """Return numbers as an array beside the logits. An array keeps its derivatives."""
    device = device_of(logits)
    if not hasattr(weight, "dtype"):
        return xp.asarray(weight, dtype=dtype, device=device)
    weight = xp.astype(weight, dtype)
    if device is None or device_of(weight) == device:
        return weight
    from array_api_compat import to_device

    return to_device(weight, device)


def _power(xp: ModuleType, base: Array, exponent: float) -> Array:
    """Compute a number from 0 to 1 to a power above 0, where no derivative by its logit overflows.

    The derivative of a small power does at 0, and at the smallest numbers: they are constants here. For any
    other number, the power is a constant times a power of a ratio, which is 1. Each derivative of that one
    divides by the number once, and never by a power of it.
    """
    constant = stop_gradient(base)
    tiny = constant < float(xp.finfo(base.dtype).smallest_normal)
    ratio = xp.where(tiny, 1.0, base) / xp.where(tiny, 1.0, constant)
    return constant**exponent * ratio**exponent


def _odds_times_surprise(xp: ModuleType, p: Array, complement: Array, log_p: Array) -> Array:
    """Compute p (-log p) / (1 - p), which grows from 0 to 1 with p. Near p = 1 it is a series in 1 - p."""
    near = complement < 2.0**-10
    small = xp.where(near, complement, 0.0)
    series = xp.zeros_like(small, dtype=small.dtype)
    for power in range(5, 0, -1):
        series = (series + 1.0 / (power * (power + 1))) * small
    vanishes = (p == 0) | near
    finite = xp.where(vanishes, 0.0, log_p)  # 0 x -inf would be NaN in the derivative
    return xp.where(near, 1.0 - series, p * -finite / xp.where(near, 1.0, complement))


def widest_labels(xp: ModuleType, target: Array) -> Array:
    """Return class indices in the widest signed type, to compare them with any number of classes.

    What the type does not hold becomes its largest number, which is no class.
    """
    signed = xp.__array_namespace_info__().dtypes(kind="signed integer")
    widest = signed.get("int64", xp.int32)  # JAX without 64 bits has no int64
    label = xp.astype(target, widest, copy=False)
    if not xp.isdtype(target.dtype, "unsigned integer"):
        return label
    return xp.where(label < 0, xp.iinfo(widest).max, label)


def _times_logarithm(xp: ModuleType, terms: Array, log_p: Array, counts: Array) -> Array:
    """Compute terms * log_p, where 0 * -inf is 0 and has the derivative -inf by the term.

    Such a logarithm is written as a product of two numbers whose product overflows: the 0 stays 0, and a
    derivative by it does not.
    """
    vanishes = (terms == 0) & (log_p == -xp.inf)
    large = xp.astype(counts, log_p.dtype) * (float(xp.finfo(log_p.dtype).max) / 2)
    return terms * xp.where(vanishes, -large, log_p) * xp.where(vanishes, large, 1.0)


def sigmoid_cross_entropy(
    xp: ModuleType, logits: Array, target: Array, /, *, reduction: str, **options: Any
) -> Array:
    """Compute weight (pos_weight y' (1 - p)^gamma (-log p) + (1 - y') p^gamma (-log(1 - p)))."""
    return _reduce_elements(
        xp, sigmoid_cross_entropy_terms(xp, logits, target, **options)[0], reduction, options["where"]
    )


def sigmoid_cross_entropy_grad(
    xp: ModuleType, logits: Array, target: Array, /, *, reduction: str, **options: Any
) -> tuple[Array, Array]:
    """Return the loss, and the gradient of its mean or sum."""
    loss, gradient = sigmoid_cross_entropy_terms(xp, logits, target, **options)
    where = options["where"]
    if reduction == "mean":
        count = _reduce_elements(xp, xp.ones_like(gradient), "sum", where)
        gradient = gradient / xp.where(count == 0, 1.0, count)
    return _reduce_elements(xp, loss, reduction, where), gradient


def _reduce_elements(xp: ModuleType, values: Array, reduction: str, where: Array | None) -> Array:
    if reduction == "none":
        return values
    counted = xp.ones_like(values) if where is None else xp.astype(where, values.dtype)
    values = values if where is None else xp.where(where, values, 0.0)
    return mean_of(xp, values, xp.sum(counted)) if reduction == "mean" else xp.sum(values)


def sigmoid_cross_entropy_terms(
    xp: ModuleType,
    logits: Array,
    target: Array,
    /,
    *,
    weight: Array | None,
    pos_weight: Array | None,
    label_smoothing: float,
    focal_gamma: float,
    where: Array | None,
) -> tuple[Array, Array]:
    """Return the loss of each element, and its derivative with respect to the logit."""
    x, y = logits, xp.astype(target, logits.dtype)
    if where is not None:
        x, y = xp.where(where, x, 0.0), xp.where(where, y, 0.0)
    kept, spread = 1.0 - label_smoothing, label_smoothing / 2
    positive, negative = kept * y + spread, kept * (1.0 - y) + spread
    for factor, both in ((pos_weight, False), (weight, True)):
        if factor is not None:
            factor = with_axes(xp, xp.astype(factor, x.dtype), x.ndim)
            positive, negative = positive * factor, negative * factor if both else negative
    log_p, log_q = log_sigmoid(xp, x), log_sigmoid(xp, -x)
    p, q = sigmoid(xp, x), sigmoid(xp, -x)
    counts = xp.ones_like(x, dtype=xp.bool)
    push, pull = q, p
    if focal_gamma:
        focus, other_focus = xp.exp(focal_gamma * log_q), xp.exp(focal_gamma * log_p)
        steep, other_steep = (
            xp.where(one == 0, 0.0, one * xp.where(one == 0, 0.0, log))
            for one, log in ((p, log_p), (q, log_q))
        )
        push, pull = focus * (q - focal_gamma * steep), other_focus * (p - focal_gamma * other_steep)
        log_p, log_q = (
            xp.where(one == 0, 0.0, one * xp.where(one == 0, 0.0, log))
            for one, log in ((focus, log_p), (other_focus, log_q))
        )
    loss = -(_times_logarithm(xp, positive, log_p, counts) + _times_logarithm(xp, negative, log_q, counts))
    slope = negative * pull - positive * push
    if where is None:
        return loss, slope
    return xp.where(where, loss, 0.0), xp.where(where, slope, 0.0)
