"""The cross-entropy of rows of 16-bit logits, and its derivative, in Triton: a row in each program.

Results have 8 or 11 bits, so exponentials and sums in float32 keep the bound of 0.51 units in the last
place. The sum of a row does not depend on how its elements are spread over threads.
"""

import triton
import triton.language as tl

from .arithmetic import arguments_as_numbers, double, rounded, single
from .doubles import log1p
from .loss_rows import write_nothing
from .loss_terms import loss_of_row, pulls_of_row
from .row_sums import larger, power_of_two

_hex = float.fromhex

# (2^f - 1) / f for |f| <= 1/2: results are within 2^-18.4 of 2^f, a hundredth of a unit of the last place
_SLOPE = tl.constexpr(tuple(map(_hex, ("0x1.3a007ap-7", "0x1.c9fd1ep-5", "0x1.ec0382p-3", "0x1.62e12ap-1"))))
_LOG2E = tl.constexpr(_hex("0x1.715476p+0"))
_LN2 = tl.constexpr(_hex("0x1.62e430p-1"))
_INTEGER = tl.constexpr(_hex("0x1.8p23"))  # added to a small number, it leaves the nearest integer
_LIFT = tl.constexpr(60)  # sums are of exponentials times 2^60, so that small ones are not subnormal


@triton.jit
def _exponential(below, lift, least):
    """Return exp(below) * 2^lift for ``below`` up to about 0; under ``least`` it is that of the least."""
    below = tl.maximum(below, least)
    n = tl.fma(below, single(_LOG2E), single(_INTEGER) + lift)
    f = tl.fma(below, single(_LOG2E), (single(_INTEGER) + lift) - n)
    slope = tl.fma(f, single(_SLOPE[0]), single(_SLOPE[1]))
    for i in tl.static_range(2, 4):
        slope = tl.fma(f, slope, single(_SLOPE[i]))
    bits = tl.fma(f, slope, single(1.0)).to(tl.int32, bitcast=True) + (n.to(tl.int32, bitcast=True) << 23)
    return bits.to(tl.float32, bitcast=True)


@triton.jit
def _least(lift):
    """Return an argument from which on exponentials times 2^lift are normal numbers.

    What the least of them leaves of a sum, or of a derivative, is under the smallest number of 16 bits.
    """
    return (single(-125.0) - lift) * single(_LN2)


@triton.jit
def _load(source, start, tile: tl.constexpr, classes):
    k = start + tl.arange(0, tile)
    return tl.load(source + k, mask=k < classes, other=float("-inf")).to(tl.float32)


@triton.jit
def _total(parts, levels: tl.constexpr):
    """Add neighbours until one number is left: the order is that of the elements, not of the threads."""
    for level in tl.static_range(levels):
        parts = tl.sum(tl.reshape(parts, (1 << (levels - 1 - level), 2)), axis=1)
    return tl.sum(parts, axis=0)


@triton.jit
def _sums(source, classes, levels: tl.constexpr, tiles: tl.constexpr):
    """Return the largest logit, and how many are equal to it and the other exponentials, times 2^60."""
    tile: tl.constexpr = 1 << levels
    lift = single(_LIFT)
    least = _least(lift)
    most = tl.zeros((), tl.float32) - float("inf")
    others = tl.zeros((tile,), tl.float32)
    equal = tl.zeros((tile,), tl.float32)
    for start in range(0, classes, tile * tiles):
        x = ()
        for j in tl.static_range(tiles):
            x = x + (_load(source, start + j * tile, tile, classes),)
        row_most = x[0]
        for j in tl.static_range(1, tiles):
            row_most = larger(row_most, x[j])
        largest = tl.reduce(row_most, 0, larger)
        if (largest > most) | (largest != largest):
            below = tl.where(most == float("-inf"), 0.0, most - largest)
            others = (others + equal) * _exponential(below, single(0.0), _least(single(0.0)))
            equal = equal * 0.0
            most = largest
        reference = tl.where(tl.abs(most) == float("inf"), 0.0, most)
        if largest == most:
            for j in tl.static_range(tiles):
                top = x[j] == reference
                others += tl.where(top, 0.0, _exponential(x[j] - reference, lift, least))
                equal += tl.where(top, single(2.0**60), 0.0)
        else:
            for j in tl.static_range(tiles):
                others += _exponential(x[j] - reference, lift, least)
    return most, _total(equal, levels), _total(others, levels)


@triton.jit
def _write_derivatives(
    source, target, classes, most, factor, nan_row, levels: tl.constexpr, tiles: tl.constexpr
):
    """Read a row again and write its probabilities times a factor (relative to the largest, in double)."""
    tile: tl.constexpr = 1 << levels
    magnitude = tl.abs(factor).to(tl.int64, bitcast=True)
    exponent = tl.minimum(tl.maximum((magnitude >> 52).to(tl.int32) - 1023, -400), 90)
    lift = (exponent + 24).to(tl.float32)
    scaled = (factor * power_of_two(-exponent - 24)).to(tl.float32)
    scaled = tl.where(nan_row, float("nan"), scaled)
    least = _least(lift)
    for start in range(0, classes, tile * tiles):
        for j in tl.static_range(tiles):
            k = start + j * tile + tl.arange(0, tile)
            x = _load(source, start + j * tile, tile, classes)
            out = _exponential(x - most, lift, least) * scaled
            tl.store(target + k, rounded(out, target.dtype.element_ty, True), mask=k < classes)


@triton.jit(do_not_specialize=["rows", "upstream_stride", "ignored"])
def narrow_loss_rows_kernel(
    logits, labels, weights, upstream, losses, counts, sums, gradient, rows, classes, row_stride,
    gradient_stride, upstream_stride, ignored, z_loss: tl.float64,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32,
    weighted: tl.constexpr, loss: tl.constexpr, derivative: tl.constexpr, recalls: tl.constexpr,
    levels: tl.constexpr, tiles: tl.constexpr,
):  # fmt: skip
    """Compute a row's loss and what it counts in a mean, its derivative times ``upstream``, or both.

    The derivative may take the place of the logits. ``sums``: see `loss_rows_kernel`; two of four are set.
    """
    row = tl.program_id(0).to(tl.int64)
    label = tl.load(labels + row)
    scale, _lane_scale, penalty = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, z_loss
    )
    source = logits + row * row_stride
    target = gradient + row * gradient_stride
    if label != ignored:
        known = (label >= 0) & (label < classes)
        place = tl.where(known, label, 0)
        if recalls:
            largest = tl.load(sums + 4 * row).to(tl.float32)
            rest = tl.load(sums + 4 * row + 1)
        else:
            largest, equal, others = _sums(source, classes, levels, tiles)
            rest = (equal.to(tl.float64) * double(2.0**-60) - 1.0) + others.to(tl.float64) * double(2.0**-60)
            if not derivative:
                tl.store(sums + 4 * row, largest.to(tl.float64))
                tl.store(sums + 4 * row + 1, rest)
        bad = (largest != largest) | (tl.abs(largest) == float("inf")) | (known == 0)
        most = largest.to(tl.float64)
        rest = tl.where(bad, 0.0, rest)
        log_high, log_low = log1p(rest)
        logit = tl.load(source + place).to(tl.float64)
        own = double(1.0)
        if weighted:
            own = tl.load(weights + place).to(tl.float64)
        if loss:
            tl.store(losses + row, loss_of_row(own, logit, most, log_high, log_low, penalty, bad))
            tl.store(counts + row, own)
        if derivative:
            tl.debug_barrier()  # no thread may still have to read a logit that is overwritten
            pull, at_label = pulls_of_row(own, logit, most, rest, log_high, log_low, penalty, scale, bad)
            arriving = tl.load(upstream + row * upstream_stride).to(tl.float64)
            _write_derivatives(source, target, classes, largest, arriving * pull, bad, levels, tiles)
            tl.debug_barrier()
            out = tl.where(bad, float("nan"), (arriving * at_label).to(tl.float32))
            tl.store(target + place, rounded(out, target.dtype.element_ty, False))
    else:
        if loss:
            tl.store(losses + row, double(0.0))
            tl.store(counts + row, double(0.0))
        if derivative:
            write_nothing(target, classes)
