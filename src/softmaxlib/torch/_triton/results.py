"""Results of the classes of a row, from the sum of its exponentials, in Triton."""

import triton
import triton.language as tl

from .arithmetic import LIFT, VANISHING, double, rounded, share_of
from .chunks import READ_LAST, element_there, inside_block, inside_tail
from .doubles import log1p, two_sum
from .row_sums import places

SOFTMAX = tl.constexpr(0)
LOG_SOFTMAX = tl.constexpr(1)
LOGSUMEXP = tl.constexpr(2)


@triton.jit
def probability(value, excess, share, plain: tl.constexpr):
    """Return value * (1 + excess) over the total, rounded once, where the result is subnormal too."""
    return lowered(share_of(value, excess, share[0], share[1]), plain)


@triton.jit
def lowered(lifted, plain: tl.constexpr):
    """Return results that were computed LIFT times as large."""
    out = lifted * (1 / LIFT)
    if not plain:
        out = tl.where(lifted > VANISHING, out, 0.0)
    return out


@triton.jit
def log_probability(x, row, near: tl.constexpr, rows: tl.constexpr):
    """Return a logarithm from a logit; ``near``: in all rows two float32 hold what is subtracted."""
    most, log_high, _, is_near, shift_high, shift_low, slope = row
    if near or rows > 1:
        difference = x - shift_high
        part = difference - x
        rest = ((x - (difference - part)) - (part + shift_high)) - shift_low
        out = difference + tl.minimum(rest, 2.0**100)  # 2^100 where the rest is NaN, beside an infinity
    if not near:
        exact = tl.fma(x.to(tl.float64) - most, slope, -log_high).to(tl.float32)
        if rows > 1:
            out = tl.where(is_near, out, exact)
        else:
            out = exact
    return out


@triton.jit
def store(
    target, source, start, inside, there, out, bad,
    finite: tl.constexpr, masked: tl.constexpr, hidden: tl.constexpr, in_a_row: tl.constexpr,
):  # fmt: skip
    """Write results: NaN in bad rows, and ``hidden`` where the mask is False."""
    result, at, strides, row_there = target
    _, _, lengths, _, mask, mask_at, mask_strides = source
    if not finite:
        out = tl.where(bad, float("nan"), out)
    if masked:
        kept = tl.load(
            places(mask, mask_at, start, inside, lengths, mask_strides, in_a_row), mask=there, other=0
        )
        out = tl.where(kept != 0, out, hidden)
    here = places(result, at, start, inside, lengths, strides, in_a_row)
    tl.store(
        here, rounded(out, result.dtype.element_ty, finite), mask=there & row_there, eviction_policy=READ_LAST
    )


@triton.jit
def write_logarithms(
    target, source, start, length, tiles, tail, row, bad,
    near: tl.constexpr, masked: tl.constexpr, in_a_row: tl.constexpr, rows: tl.constexpr,
    blocks: tl.constexpr,
):  # fmt: skip
    """Write the logarithms of the probabilities of a chunk; ``near``: in all rows, none of which is bad."""
    for j in tl.static_range(8):
        out = log_probability(tiles[j], row, near, rows)
        store(
            target, source, start + j * 64, inside_block(blocks), element_there(j, length, blocks), out, bad,
            near, masked, float("-inf"), in_a_row,
        )  # fmt: skip
    if len(tail) > 0:
        inside = inside_tail(length)
        out = log_probability(tail[0], row, near, rows)
        store(target, source, start, inside, inside < length, out, bad, near, masked, float("-inf"), in_a_row)


@triton.jit
def logarithm_of(state, bad, unit_temperature: tl.constexpr):
    """Return the logarithm of a row's total beside its largest logit, and what `log_probability` needs."""
    most, least, offset, power, total, rest = state
    others = tl.where(bad, 0.0, total)
    log_high, log_low = log1p(others)
    log_high, log_low = two_sum(log_high, log_low + rest / (others + 1.0))
    log_high = tl.where(others > 0.0, log_high, 0.0)
    log_low = tl.where(others > 0.0, log_low, 0.0)
    shift = most + log_high
    shift_high = shift.to(tl.float32)
    shift_low = (shift - shift_high.to(tl.float64)).to(tl.float32)
    near = log_high * double(2.0**22) > tl.abs(shift)
    if not unit_temperature:
        near = near & (most != most)
    return most, log_high, log_low, near, shift_high, shift_low
