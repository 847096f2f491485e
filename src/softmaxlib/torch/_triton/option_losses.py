"""Cross-entropy with its options, and its derivative, in double, in Triton.

Targets are class indices or probabilities. Label smoothing, focal loss, class weights, a mask, z-loss and
ignored rows may be given, and the classes may lie anywhere.

With a_c the coefficient of class c, C their sum and q_c minus the derivative of the loss by log p_c, the
derivative by x_j is sum(q) p_j - q_j. Where class j is alone the largest, it is written as
(sum(q) - q_j) p_j - q_j (1 - p_j), so that confident rows keep their digits.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .double_rows import (
    add_others,
    as_type,
    exponential_beside,
    largest_of_rows,
    load_doubles,
    logarithm_of_rows,
    nothing_added,
    of_each_row,
    others_of_rows,
    plus,
    times,
    to_the_power,
)
from .doubles import log1p
from .row_sums import offset_of


@triton.jit
def existing_classes(source, k, there, masked: tl.constexpr):
    """Return which of the classes exist."""
    if masked:
        _numbers, _at, lengths, _strides, mask, mask_at, mask_strides = source
        kept = tl.load(mask + (mask_at + offset_of(k, lengths, mask_strides)), mask=there, other=0)
        there = there & (kept != 0)
    return there


@triton.jit
def coefficients_of(
    target, weights, k, there, classes, smoothing, share,
    by_label: tl.constexpr, weighted: tl.constexpr, smooth: tl.constexpr,
):  # fmt: skip
    """Return the coefficients of classes, and what they weigh in a row's weight."""
    if by_label:
        q = (k == target).to(tl.float64)
    else:
        numbers, at, lengths, strides = target
        q = tl.load(numbers + (at + offset_of(k, lengths, strides)), mask=there, other=0.0).to(tl.float64)
    weighs = q
    if smooth:
        q = (1.0 - smoothing) * q + share
    if weighted:
        w = tl.load(weights + k, mask=k < classes, other=0.0).to(tl.float64)
        q, weighs = q * w, weighs * w
    return tl.where(there, q, 0.0), tl.where(there, weighs, 0.0)


@triton.jit
def focal_term(own, p, complement, negative_log, gamma):
    """Return a (1 - p)^gamma (-log p), and minus its derivative by log p."""
    certain = complement == 0.0
    logarithm, _ = log1p(tl.where(certain, 0.0, p / tl.where(certain, 1.0, complement)))  # -log(1 - p)
    power = tl.where(certain, 0.0, to_the_power(logarithm, gamma))
    ratio = tl.where(certain, 1.0, negative_log / tl.where(certain, 1.0, complement))
    inner = tl.where(p == 0.0, 0.0, gamma * p * ratio)
    return times(own, power * negative_log), own * power * (1.0 + inner)


@triton.jit(do_not_specialize=["rows", "upstream_stride", "ignored", "outer"])
def option_losses_kernel(
    logits, target, weights, mask, upstream, losses, counts, gradient, rows, classes,
    outer, outer_in, outer_target, outer_out, outer_mask,
    inner, inner_in, inner_target, inner_out, inner_mask,
    upstream_stride, ignored, smoothing: tl.float64, gamma: tl.float64, z_loss: tl.float64,
    scale_high: tl.float64, scale_low: tl.float64,
    by_label: tl.constexpr, weighted: tl.constexpr, masked: tl.constexpr, smooth: tl.constexpr,
    focal: tl.constexpr, wide: tl.constexpr, loss: tl.constexpr, derivative: tl.constexpr,
    together: tl.constexpr, width: tl.constexpr,
):  # fmt: skip
    """Compute losses of ``together`` rows and what they count in a mean, their derivatives, or both.

    The derivatives, times ``upstream``, may take the place of the logits.
    """
    spread: tl.constexpr = smooth or not by_label
    row = (tl.program_id(0).to(tl.int64) * together + tl.arange(0, together))[:, None]
    row_there = row < rows
    row = tl.where(row_there, row, 0)
    counted = row_there
    known = row_there
    zero = double(0.0)
    smoothing, gamma, z_loss = zero + smoothing, zero + gamma, zero + z_loss
    scale = (zero + scale_high, zero + scale_low)
    place = row * 0
    if by_label:
        label = tl.load(target + row, mask=row_there, other=0)
        counted = row_there & (label != ignored)
        known = (label >= 0) & (label < classes)
        place = tl.where(known, label, 0).to(tl.int64)
        of_target = place
    else:
        of_target = (target, offset_of(row, outer, outer_target), inner, inner_target)
    at, mask_at = offset_of(row, outer, outer_in), offset_of(row, outer, outer_mask)
    source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)

    largest = largest_of_rows(source, counted, classes, masked, together, width)
    valued = counted
    number = classes + row * 0
    if masked:
        existing = tl.zeros((together, width), tl.int64)
        for start in range(0, classes, width):
            k = start + tl.arange(0, width)[None, :]
            there = counted & (k < classes)
            existing += existing_classes(source, k, there, masked).to(tl.int64)
        number = tl.sum(existing, axis=1)[:, None]
        valued = counted & (number > 0)
    share = smoothing / tl.where(number > 0, number, 1).to(tl.float64)
    bad = (largest != largest) | (tl.abs(largest) == float("inf")) | (known == 0)
    most = tl.where((largest != largest) | (tl.abs(largest) == float("inf")), 0.0, largest)

    others, of_top, of_others = (
        nothing_added(together, width), nothing_added(together, width), nothing_added(together, width)
    )  # fmt: skip
    distance, weight_sum = nothing_added(together, width), nothing_added(together, width)
    equal = tl.zeros((together, width), tl.int32)
    hidden = tl.zeros((together, width), tl.int32)
    for start in range(0, classes, width):
        k = start + tl.arange(0, width)[None, :]
        there = counted & (k < classes)
        x = load_doubles(source, k, there, masked)
        others, equal = add_others(others, equal, x, most, scale, wide)
        if spread and not focal:
            here = tl.where(existing_classes(source, k, there, masked), share, 0.0)
            a, weighs = coefficients_of(
                of_target, weights, k, there, classes, smoothing, here, by_label, weighted, smooth
            )
            is_top = x == most
            unreachable = (x == float("-inf")) & (a != 0.0)
            hidden = hidden | unreachable.to(tl.int32)
            of_top = plus(of_top, tl.where(is_top, a, 0.0), zero)
            of_others = plus(of_others, tl.where(is_top, 0.0, a), zero)
            weight_sum = plus(weight_sum, weighs, zero)
            below = tl.where(x > float("-inf"), most - x, 0.0)
            product = tl.where(a == 0.0, 0.0, a * below)
            distance = plus(distance, product, tl.where(a == 0.0, 0.0, tl.fma(a, below, -product)))
    sum_high, sum_low, count = others_of_rows(others, equal, bad)
    log_high, log_low = logarithm_of_rows(sum_high, sum_low)
    top = 1.0 / (sum_high + 1.0)
    top_complement = sum_high * top

    row_weight = double(1.0) + zero * most
    if by_label:
        if weighted:
            row_weight = tl.load(weights + place).to(tl.float64)
    if spread and focal:
        for start in range(0, classes, width):
            k = start + tl.arange(0, width)[None, :]
            there = counted & (k < classes)
            x = load_doubles(source, k, there, masked)
            here = tl.where(existing_classes(source, k, there, masked), share, 0.0)
            a, weighs = coefficients_of(
                of_target, weights, k, there, classes, smoothing, here, by_label, weighted, smooth
            )
            is_top = x == most
            high, low = exponential_beside(x, most, scale, wide)
            p = high * top + low * top
            complement = tl.where(is_top & (count == 1), top_complement, 1.0 - p)
            below = tl.where(x > float("-inf"), most - x, 0.0)
            term, slope = focal_term(a, p, complement, below + log_high + log_low, gamma)
            unreachable = (x == float("-inf")) & (a != 0.0)
            hidden = hidden | unreachable.to(tl.int32)
            of_top = plus(of_top, tl.where(is_top, slope, 0.0), zero)
            of_others = plus(of_others, tl.where(is_top, 0.0, slope), zero)
            weight_sum = plus(weight_sum, weighs, zero)
            distance = plus(distance, term, zero)
    if spread:
        top_pull, _top_rest = of_each_row(of_top)
        other_pull, _other_rest = of_each_row(of_others)
        if not by_label:
            row_weight, _weight_rest = of_each_row(weight_sum)
        far_high, far_low = of_each_row(distance)
        value = far_high + far_low
        if not focal:
            total = top_pull + other_pull
            product = total * log_high
            value = far_high + (product + (far_low + (tl.fma(total, log_high, -product) + total * log_low)))
        value = tl.where(tl.max(hidden, axis=1)[:, None] > 0, float("inf"), value)
        slope = zero * most
    else:
        logit = tl.load(logits + (at + offset_of(place, inner, inner_in)), mask=counted, other=0.0)
        logit = logit.to(tl.float64)
        if masked:
            kept = tl.load(mask + (mask_at + offset_of(place, inner, inner_mask)), mask=counted, other=1)
            logit = tl.where(kept != 0, logit, float("-inf"))
        logit = tl.where(bad, 0.0, logit)
        slope = row_weight
        below = tl.where(bad, 0.0, most - logit)
        negative_log = below + log_high + log_low
        is_top = logit == most
        if focal:
            p, _rest = exponential_beside(logit, most, scale, wide)
            p = p * top
            complement = tl.where(is_top & (count == 1), top_complement, 1.0 - p)
            value, slope = focal_term(row_weight, p, complement, negative_log, gamma)
        else:
            value = times(row_weight, negative_log)
        top_pull = tl.where(is_top, slope, 0.0)
        other_pull = tl.where(is_top, 0.0, slope)
    log_sum = (most + log_high) + log_low
    if loss:
        value = value + z_loss * row_weight * log_sum * log_sum
        value = tl.where(bad, float("nan"), value)
        counts_of_row = row_weight
        if not by_label:
            counts_of_row = row_weight * 0.0 + 1.0
        tl.store(losses + row, tl.where(valued, value, 0.0), mask=row_there)
        tl.store(counts + row, tl.where(counted, counts_of_row, 0.0), mask=row_there)
    if derivative:
        penalty = 2.0 * z_loss * row_weight * log_sum
        arriving = tl.load(upstream + row * upstream_stride, mask=row_there, other=0.0).to(tl.float64)
        result = gradient + offset_of(row, outer, outer_out)
        tl.debug_barrier()  # where logits are overwritten, no thread may still have to read that of the label
        for start in range(0, classes, width):
            k = start + tl.arange(0, width)[None, :]
            there = row_there & (k < classes)
            x = load_doubles(source, k, there & counted, masked)
            high, low = exponential_beside(x, most, scale, wide)
            probability = high * top + low * top
            exists = existing_classes(source, k, there & valued, masked)
            alone = (x == most) & (count == 1)
            if spread:
                here = tl.where(exists, share, 0.0)
                a, _weighs = coefficients_of(
                    of_target, weights, k, there, classes, smoothing, here, by_label, weighted, smooth
                )
                if focal:
                    complement = tl.where(alone, top_complement, 1.0 - probability)
                    below = tl.where(x > float("-inf"), most - x, 0.0)
                    _term, a = focal_term(a, probability, complement, below + log_high + log_low, gamma)
            else:
                a = tl.where(k == place, slope, 0.0)
            out = tl.where(
                alone, (other_pull + penalty) * probability - a * top_complement,
                ((other_pull + top_pull) + penalty) * probability - a,
            )  # fmt: skip
            out = tl.where(bad, float("nan"), times(out, arriving))
            out = tl.where(exists, out, 0.0)
            to = result + offset_of(k, inner, inner_out)
            tl.store(to, as_type(out, gradient.dtype.element_ty), mask=there)
