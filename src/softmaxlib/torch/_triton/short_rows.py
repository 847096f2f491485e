"""Rows of up to some hundred classes: one row in each thread, class by class.

A sum is settled after four classes and begins anew after eight; the last one has up to sixteen, as in
``cpp/short_rows.h``.
"""

import triton
import triton.language as tl

from .arithmetic import (
    LEAST,
    LIFT,
    MAGIC,
    START,
    SURPLUS,
    arguments_as_numbers,
    double,
    exponential,
    inverse,
    rounded,
    single,
)
from .cancellation import logsumexp_of
from .doubles import exp2, log1p, two_sum
from .results import probability
from .row_sums import add_up, known, load_logits, offset_of, settled


@triton.jit
def _constants(maximum, lane_high, scale_inverse):
    """Return offset, power and the constants of an exponential, all in float32."""
    exponent = maximum * lane_high
    near = tl.abs(exponent) < 65536.0
    offset = tl.where(near, 0.0, maximum)
    integer = (exponent + single(1.5 * 2.0**23)) - single(1.5 * 2.0**23)
    whole = tl.where(near, integer, 0.0)
    power = whole - single(SURPLUS)
    least = (power + single(LEAST)) * scale_inverse.to(tl.float32)
    return offset, power, (offset, single(MAGIC) - whole, least)


@triton.jit
def _ratio(scale_high, scale_low, offset, most, power):
    """Return exp((offset - most) / T) * 2^power."""
    difference = offset - most
    product = difference * scale_high
    rest = tl.fma(difference, scale_low, tl.fma(difference, scale_high, -product))
    high, low = two_sum(product, power)
    result, _ = exp2(high, low + rest)
    return tl.where(high < -1080.0, 0.0, result)


@triton.jit(do_not_specialize=["rows", "outer"])
def short_rows_kernel(
    logits, result, flags, mask, rows, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_out, inner_mask,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32, slope: tl.float64,
    function: tl.constexpr, masked: tl.constexpr, together: tl.constexpr,
):  # fmt: skip
    """Compute ``together`` rows."""
    softmax: tl.constexpr = function == 0
    hidden: tl.constexpr = float("-inf") if function == 1 else 0.0
    row = tl.program_id(0).to(tl.int64) * together + tl.arange(0, together)
    there = row < rows
    row = tl.where(there, row, 0)
    mask_at = offset_of(row, outer, outer_mask)
    source = (logits, offset_of(row, outer, outer_in), inner, inner_in, mask, mask_at, inner_mask)
    scale, lane_scale, slope = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, slope
    )
    nothing = tl.full((together,), float("-inf"), tl.float32)

    most, second, least = nothing, nothing, -nothing
    wrong = tl.zeros((together,), tl.int32)
    for k in range(0, classes):
        x = load_logits(source, tl.full((together,), k, tl.int32), there, masked)
        wrong = wrong | (x != x).to(tl.int32)
        x = known(x)
        second = tl.maximum(second, tl.minimum(most, x))
        most = tl.maximum(most, x)
        least = tl.minimum(least, x)
    relative_to = most
    if not softmax:
        relative_to = tl.where(second > float("-inf"), second, most)
    finite = tl.where(tl.abs(relative_to) < float("inf"), relative_to, 0.0)
    offset, power, constants = _constants(finite, lane_scale[0], scale[2])

    wide = tl.zeros((together,), tl.float64)
    high = tl.full((together,), START, tl.float32)
    low = tl.zeros((together,), tl.float32)
    ties = tl.zeros((together,), tl.float32)
    for k in range(0, classes):
        x = load_logits(source, tl.full((together,), k, tl.int32), there, masked)
        if not softmax:
            is_top = x == most
            ties += tl.where(is_top, 1.0, 0.0)
            x = tl.where(is_top, float("-inf"), x)
        value, excess = exponential(x, constants, lane_scale, False)
        high, low = add_up(high, low, value, excess)
        if (k % 4 == 3) | (k + 1 == classes):
            high, low = settled(high, low)
        ends = (k % 8 == 7) & (k + 9 < classes)
        if ends | (k + 1 == classes):
            wide = wide + ((high - START).to(tl.float64) + low.to(tl.float64))
            high = tl.full((together,), START, tl.float32)
            low = tl.zeros((together,), tl.float32)

    bad = (wrong > 0) | (tl.abs(most) == float("inf"))
    top = most.to(tl.float64)
    log_total = top * 0.0
    share = inverse(wide, LIFT)
    # Added, not chosen by a condition: the compiler would make two loops of it, and all threads of a warp
    # have to take part in the look-ups of one.
    spoiled = tl.where(bad, float("nan"), 0.0)
    if not softmax:
        shift = _ratio(scale[0], scale[1], offset.to(tl.float64), top, power.to(tl.float64)) * double(
            2.0**-62
        )
        lonely = tl.where(second == float("-inf"), 0.0, 1.0).to(tl.float64)
        others = tl.fma(wide * shift, lonely, (ties - 1.0).to(tl.float64))
        log_total, _ = log1p(tl.where(bad, 0.0, others))
    if function == 2:
        out, cancels = logsumexp_of(top, log_total, wrong > 0, bad)
        tl.store(flags + row, cancels, mask=there)
        tl.store(
            result + offset_of(row, outer, outer_out),
            rounded(out, result.dtype.element_ty, False),
            mask=there,
        )
    else:
        at = offset_of(row, outer, outer_out)
        for k in range(0, classes):
            place = tl.full((together,), k, tl.int32)
            x = load_logits(source, place, there, masked)
            if softmax:
                value, excess = exponential(x, constants, lane_scale, False)
                out = probability(value, excess, share, False) + spoiled
            else:
                out = tl.fma(x.to(tl.float64) - top, slope, -log_total).to(tl.float32)
                out = tl.where(bad, float("nan"), out)
            if masked:
                kept = tl.load(mask + (mask_at + offset_of(place, inner, inner_mask)), mask=there, other=0)
                out = tl.where(kept != 0, out, hidden)
            tl.store(
                result + (at + offset_of(place, inner, inner_out)),
                rounded(out, result.dtype.element_ty, False),
                mask=there,
            )
