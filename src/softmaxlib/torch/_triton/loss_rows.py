"""Cross-entropy of float32 rows with class indices, and its derivative, in Triton: a row in each program."""

import triton
import triton.language as tl

from .arithmetic import (
    arguments_as_numbers,
    double,
    exponential,
    multiplied_exponential,
    multiplier,
    rounded,
    short_part,
)
from .chunks import CHUNK, READ_LAST, element_there, inside_block, inside_tail, load_chunk, state_of
from .doubles import ratio
from .loss_terms import loss_of_row, pulls_of_row
from .results import logarithm_of
from .row_sums import reference_of


@triton.jit
def _derivative(x, constants, lane_scale, factor, share, plain: tl.constexpr):
    """Return what multiplies a probability times that probability, from its logit."""
    if plain:
        out = multiplied_exponential(x, constants, lane_scale, factor, True)
    else:
        value, excess = exponential(x, constants, lane_scale, False)
        lifted = tl.fma(value, share[0], value * tl.fma(excess, share[0], share[1]))
        out = tl.where(x == float("-inf"), 0.0, lifted * (2.0**-64))
    return out


@triton.jit
def _write_chunk(
    source, target, start, length, constants, lane_scale, factor, share, nan_row,
    plain: tl.constexpr, has_tail: tl.constexpr, whole: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Read a chunk again, and write its derivatives, that of the label apart."""
    tiles, tail = load_chunk(source, start, length, False, False, True, has_tail, whole, blocks, READ_LAST)
    for j in tl.static_range(8):
        out = _derivative(tiles[j], constants, lane_scale, factor, share, plain)
        if not plain:
            out = tl.where(nan_row, float("nan"), out)
        out = rounded(out, target.dtype.element_ty, plain)
        tl.store(target + (start + j * 64) + inside_block(blocks), out, mask=element_there(j, length, blocks))
    if has_tail:
        inside = inside_tail(length)
        out = _derivative(tail[0], constants, lane_scale, factor, share, plain)
        if not plain:
            out = tl.where(nan_row, float("nan"), out)
        out = rounded(out, target.dtype.element_ty, plain)
        tl.store(target + start + inside, out, mask=inside < length)


@triton.jit
def _write_derivatives(
    source, target, classes, constants, lane_scale, factor, share, nan_row,
    plain: tl.constexpr, has_tail: tl.constexpr, whole: tl.constexpr, blocks: tl.constexpr,
):  # fmt: skip
    """Read a row again, chunk by chunk, and write its derivatives; ``whole``: of the last chunk."""
    if blocks == 8:
        for s in range(0, classes // CHUNK):
            start = tl.zeros((), tl.int64) + s * CHUNK
            _write_chunk(
                source, target, start, start.to(tl.int32) * 0 + CHUNK, constants, lane_scale, factor, share,
                nan_row, plain, False, 8, blocks,
            )  # fmt: skip
    if blocks < 8 or whole < 8:
        start = tl.zeros((), tl.int64) + classes // CHUNK * CHUNK
        _write_chunk(
            source, target, start, (classes - start).to(tl.int32), constants, lane_scale, factor, share,
            nan_row, plain, has_tail, whole, blocks,
        )  # fmt: skip


@triton.jit
def _in_two(x):
    """Return a double as the sum of two float32."""
    high = x.to(tl.float32)
    return high, (x - high.to(tl.float64)).to(tl.float32)


@triton.jit
def write_nothing(target, classes):
    """Write the derivative of an ignored row, which is 0."""
    for s in range(0, tl.cdiv(classes, 512)):
        k = s * 512 + tl.arange(0, 512)
        tl.store(target + k, tl.zeros((512,), target.dtype.element_ty), mask=k < classes)


@triton.jit(do_not_specialize=["rows", "upstream_stride", "ignored"])
def loss_rows_kernel(
    logits, labels, weights, upstream, losses, counts, sums, gradient, rows, classes, row_stride,
    gradient_stride, upstream_stride, ignored, z_loss: tl.float64,
    scale_high: tl.float64, scale_low: tl.float64, scale_inverse: tl.float64,
    lane_high: tl.float32, lane_low: tl.float32,
    weighted: tl.constexpr, loss: tl.constexpr, derivative: tl.constexpr, recalls: tl.constexpr,
    blocks: tl.constexpr, has_tail: tl.constexpr, whole: tl.constexpr, per_segment: tl.constexpr,
):  # fmt: skip
    """Compute a row's loss and what it counts in a mean, its derivative times ``upstream``, or both.

    The derivative may take the place of the logits. A loss without derivative leaves what is known of its
    row in ``sums``, four numbers a row; a derivative that ``recalls`` them reads the row once less.
    """
    row = tl.program_id(0).to(tl.int64)
    label = tl.load(labels + row)
    scale, lane_scale, penalty = arguments_as_numbers(
        scale_high, scale_low, scale_inverse, lane_high, lane_low, z_loss
    )
    source = (logits, row * row_stride, (classes,), (1,), logits, row * row_stride, (1,))
    target = gradient + row * gradient_stride
    counted = label != ignored
    if counted:
        known = (label >= 0) & (label < classes)
        place = tl.where(known, label, 0)
        if recalls:
            zero = double(0.0)
            most, least = tl.load(sums + 4 * row), tl.load(sums + 4 * row + 1)
            state = (most, least, zero, zero, tl.load(sums + 4 * row + 2), tl.load(sums + 4 * row + 3))
        else:
            state, wrong = state_of(
                source, classes, scale, lane_scale,
                False, False, True, has_tail, whole, per_segment, 1, blocks,
            )  # fmt: skip
            most, least = tl.where(wrong > 0, float("nan"), state[0]), state[1]
            if not derivative:
                tl.store(sums + 4 * row, most)
                tl.store(sums + 4 * row + 1, least)
                tl.store(sums + 4 * row + 2, state[4])
                tl.store(sums + 4 * row + 3, state[5])
        bad = (most != most) | (tl.abs(most) == float("inf")) | (known == 0)
        logarithm = logarithm_of(state, bad, True)
        log_high, log_low = logarithm[1], logarithm[2]
        logit = tl.load(logits + row * row_stride + place).to(tl.float64)
        own = double(1.0)
        if weighted:
            own = tl.load(weights + place).to(tl.float64)
        if loss:
            tl.store(losses + row, loss_of_row(own, logit, most, log_high, log_low, penalty, bad))
            tl.store(counts + row, own)
        if derivative:
            tl.debug_barrier()  # no thread may still have to read a logit that is overwritten
            pull, at_label = pulls_of_row(
                own, logit, most, state[4] + state[5], log_high, log_low, penalty, scale, bad
            )
            arriving = tl.load(upstream + row * upstream_stride).to(tl.float64)
            largest = tl.where(bad, 0.0, most)
            offset, power, constants = reference_of(largest.to(tl.float32), scale[0], scale[2])
            t_high, t_low = ratio(scale[0], scale[1], offset, largest, power)
            factor = (t_high + t_low) * (arriving * pull * double(2.0**-62))
            plain = (offset == 0.0) & ((most - least) * scale[0] < 90.0) & (bad == 0)
            if plain & (tl.abs(factor) < double(2.0**60)) & (tl.abs(factor) > double(2.0**-90)):
                high = short_part(factor)
                lacking = (factor - high) / high
                multiplied = multiplier(high.to(tl.float32), lacking)
                _write_derivatives(
                    source, target, classes, constants, lane_scale, multiplied, (), bad,
                    True, has_tail, whole, blocks,
                )  # fmt: skip
            else:
                share = _in_two(factor * double(2.0**64))
                _write_derivatives(
                    source, target, classes, constants, lane_scale, (), share, bad,
                    False, has_tail, whole, blocks,
                )  # fmt: skip
            tl.debug_barrier()
            out = tl.where(bad, float("nan"), (arriving * at_label).to(tl.float32))
            tl.store(target + place, rounded(out, target.dtype.element_ty, False))
    else:
        if loss:
            tl.store(losses + row, double(0.0))
            tl.store(counts + row, double(0.0))
        if derivative:
            write_nothing(target, classes)
