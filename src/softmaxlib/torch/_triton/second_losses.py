"""The second derivatives of cross-entropy with its options, in double, in Triton.

With q_c minus the derivative of the loss by log p_c, Q their sum and z the coefficient of logsumexp squared,
the derivative by x_j is (Q + 2 z logsumexp) p_j - q_j. Along a tangent v, with u = v - v_m relative to that
of the largest logit and s = sum(p u), log p_j changes by u_j - s and logsumexp by s + v_m. Of a confident row
s is a sum of small numbers: nothing cancels there.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .double_rows import (
    add_others,
    as_type,
    exponential_beside,
    load_doubles,
    logarithm_of_rows,
    nothing_added,
    of_each_row,
    others_of_rows,
    plus,
    times,
    to_the_power,
)
from .doubles import log1p, two_sum
from .option_losses import coefficients_of, existing_classes, focal_term
from .row_sums import larger, offset_of

_NOWHERE = tl.constexpr(1 << 62)


@triton.jit
def _bend(own, p, complement, negative_log, gamma):
    """Return the derivative by log p of the slope of a focal term."""
    vanishes = (complement == 0.0) | (p == 0.0)
    rest = tl.where(complement == 0.0, 1.0, complement)
    logarithm, _ = log1p(tl.where(vanishes, 0.0, p / rest))  # -log(1 - p)
    power = to_the_power(logarithm, gamma)
    bracket = negative_log - 2.0 - (gamma - 1.0) * p * (negative_log / rest)
    return tl.where(vanishes, 0.0, own * gamma * p * (power / rest) * bracket)


@triton.jit
def _tangent(second, k, there, reference):
    """Load a tangent relative to a reference, in two parts; what is not there is 0."""
    numbers, at, lengths, strides = second
    v = tl.load(numbers + (at + offset_of(k, lengths, strides)), mask=there, other=0.0).to(tl.float64)
    return two_sum(v, -reference)


@triton.jit(do_not_specialize=["rows", "upstream_stride", "ignored", "outer"])
def second_losses_kernel(
    logits, target, weights, mask, upstream, second, products, result, rows, classes,
    outer, outer_in, outer_target, outer_second, outer_out, outer_mask,
    inner, inner_in, inner_target, inner_second, inner_out, inner_mask,
    upstream_stride, ignored, smoothing: tl.float64, gamma: tl.float64, z_loss: tl.float64,
    scale_high: tl.float64, scale_low: tl.float64,
    by_label: tl.constexpr, weighted: tl.constexpr, masked: tl.constexpr, smooth: tl.constexpr,
    focal: tl.constexpr, wide: tl.constexpr, together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute, for a tangent ``second``, its product with the gradient of each row, and with the Hessian.

    The product with the Hessian is multiplied by ``upstream``.
    """
    row = (tl.program_id(0).to(tl.int64) * together + tl.arange(0, together))[:, None]
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    counted = row_there
    known = row_there
    zero = double(0.0)
    smoothing, gamma, z_loss = zero + smoothing, zero + gamma, zero + z_loss
    scale = (zero + scale_high, zero + scale_low)
    if by_label:
        label = tl.load(target + row, mask=row_there, other=0)
        counted = row_there & (label != ignored)
        known = (label >= 0) & (label < classes)
        of_target = tl.where(known, label, 0).to(tl.int64)
    else:
        of_target = (target, offset_of(row, outer, outer_target), inner, inner_target)
    at, mask_at = offset_of(row, outer, outer_in), offset_of(row, outer, outer_mask)
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
    tangent = (second, offset_of(row, outer, outer_second), inner, inner_second)

    largest = tl.zeros((together, width), tl.float64) + float("-inf")
    place = tl.zeros((together, width), tl.int64)
    existing = tl.zeros((together, width), tl.int64)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = counted & (k < classes)
        x = load_doubles(source, k, there, masked)
        place = tl.where(x > largest, k, place)
        largest = larger(largest, x)
        existing += existing_classes(source, k, there, masked).to(tl.int64)
    number = tl.sum(existing, axis=1)[:, None]
    top_logit = tl.reduce(largest, 1, larger)[:, None]
    valued = counted & (number > 0)
    share = smoothing / tl.where(number > 0, number, 1).to(tl.float64)
    unbounded = (top_logit != top_logit) | (tl.abs(top_logit) == float("inf"))
    bad = unbounded | (known == 0)
    most = tl.where(unbounded, 0.0, top_logit)
    first = tl.min(tl.where((largest == most) & (existing > 0), place, _NOWHERE), axis=1)[:, None]
    first = tl.where(first < classes, first, 0)
    reference = tl.load(second + (tangent[1] + offset_of(first, inner, inner_second)), mask=valued, other=0.0)
    reference = reference.to(tl.float64)

    others, tilted = nothing_added(together, width), nothing_added(together, width)
    pull, pushed = nothing_added(together, width), nothing_added(together, width)
    weight_sum = nothing_added(together, width)
    equal = tl.zeros((together, width), tl.int32)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = counted & (k < classes)
        exists = existing_classes(source, k, there, masked)
        x = load_doubles(source, k, there, masked)
        others, equal = add_others(others, equal, x, most, scale, wide)
        u, u_low = _tangent(tangent, k, exists, reference)
        high, low = exponential_beside(x, most, scale, wide)
        product = high * u
        tilted = plus(tilted, product, tl.fma(high, u, -product) + (low * u + high * u_low))
        here = tl.where(exists, share, 0.0)
        a, weighs = coefficients_of(
            of_target, weights, k, there, classes, smoothing, here, by_label, weighted, smooth
        )
        weight_sum = plus(weight_sum, weighs, zero)
        if not focal:
            pull = plus(pull, a, zero)
            product = a * u
            pushed = plus(pushed, product, tl.fma(a, u, -product) + a * u_low)
    sum_high, sum_low, count = others_of_rows(others, equal, bad)
    log_high, log_low = logarithm_of_rows(sum_high, sum_low)
    top = 1.0 / (sum_high + 1.0)
    top_complement = sum_high * top
    mean_high, mean_low = of_each_row(tilted)
    mean = (mean_high + mean_low) * top
    row_weight, _rest = of_each_row(weight_sum)
    bend_of_top, bend_of_others = zero, zero
    if focal:
        bent_top, bent_others = nothing_added(together, width), nothing_added(together, width)
        for start in range(0, classes, width):
            k = start + tl.arange(0, width)[None, :]
            there = counted & (k < classes)
            exists = existing_classes(source, k, there, masked)
            x = load_doubles(source, k, there, masked)
            u, _u_low = _tangent(tangent, k, exists, reference)
            here = tl.where(exists, share, 0.0)
            a, _weighs = coefficients_of(
                of_target, weights, k, there, classes, smoothing, here, by_label, weighted, smooth
            )
            high, low = exponential_beside(x, most, scale, wide)
            p = high * top + low * top
            alone = (x == most) & (count == 1)
            complement = tl.where(alone, top_complement, 1.0 - p)
            below = tl.where(x > float("-inf"), most - x, 0.0)
            _term, q = focal_term(a, p, complement, below + log_high + log_low, gamma)
            bend = _bend(a, p, complement, below + log_high + log_low, gamma) * (u - mean)
            pull = plus(pull, q, zero)
            pushed = plus(pushed, q * u, zero)
            bent_top = plus(bent_top, tl.where(alone, bend, 0.0), zero)
            bent_others = plus(bent_others, tl.where(alone, 0.0, bend), zero)
        bend_of_top, _rest = of_each_row(bent_top)
        bend_of_others, _rest = of_each_row(bent_others)
    pull_high, _rest = of_each_row(pull)
    pushed_high, pushed_low = of_each_row(pushed)
    doubled = 2.0 * z_loss * row_weight
    penalty = doubled * ((most + log_high) + log_low)
    total = pull_high + penalty
    product = ((total * mean - pushed_high) - pushed_low) + penalty * reference
    product = tl.where(bad, float("nan"), product)
    tl.store(products + row, tl.where(valued, product, 0.0), mask=row_there)
    arriving = tl.load(upstream + row * upstream_stride, mask=row_there, other=0.0).to(tl.float64)
    level = doubled * (mean + reference)
    target_row = result + offset_of(row, outer, outer_out)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = row_there & (k < classes)
        exists = existing_classes(source, k, there & valued, masked)
        x = load_doubles(source, k, there & counted, masked)
        u, u_low = _tangent(tangent, k, exists, reference)
        high, low = exponential_beside(x, most, scale, wide)
        p = high * top + low * top
        change, change_low = two_sum(u, -mean)
        out = total * p * (change + (change_low + u_low)) + level * p
        if focal:
            here = tl.where(exists, share, 0.0)
            a, _weighs = coefficients_of(
                of_target, weights, k, there & counted, classes, smoothing, here, by_label, weighted, smooth
            )
            alone = (x == most) & (count == 1)
            complement = tl.where(alone, top_complement, 1.0 - p)
            below = tl.where(x > float("-inf"), most - x, 0.0)
            bend = _bend(a, p, complement, below + log_high + log_low, gamma) * change
            out += tl.where(
                alone, bend_of_others * p - bend * top_complement, (bend_of_others + bend_of_top) * p - bend
            )
        out = tl.where(bad, float("nan"), times(out, arriving))
        tl.store(
            target_row + offset_of(k, inner, inner_out),
            as_type(tl.where(exists, out, 0.0), result.dtype.element_ty), mask=there,
        )  # fmt: skip
