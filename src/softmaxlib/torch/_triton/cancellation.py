"""logsumexp from a maximum and a logarithm, also where the two nearly cancel.

There the sum of exponentials is near one, and what counts is its distance from one. A second kernel sums the
exponentials of such rows again, in double, which gives the distance to 2^-50. A distance of more than 2^-26
keeps the bound of the compiled kernels, which compute smaller ones in more digits still.
"""

import triton
import triton.language as tl

from .arithmetic import double, rounded
from .doubles import exp2, log1p, two_sum
from .row_sums import load_logits, offset_of


@triton.jit
def logsumexp_of(most, log_total, has_nan, bad):
    """Return maximum + log(total) in float32, and whether the two nearly cancel.

    A row that holds NaN is NaN, and one whose maximum is infinite is that infinity.
    """
    total = most + log_total
    out = tl.where(bad, most.to(tl.float32), total.to(tl.float32))
    cancels = (most < 0.0) & (tl.abs(total) < 0.25 * log_total) & (bad == 0)
    return tl.where(has_nan, float("nan"), out), cancels.to(tl.int8)


@triton.jit
def cancelling_rows_kernel(
    logits, result, flags, mask, classes,
    outer, outer_in, outer_out, outer_mask, inner, inner_in, inner_mask,
    masked: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Compute logsumexp of one row again if its flag is set: log1p of the sum of exponentials minus one."""
    row = tl.program_id(0).to(tl.int64)
    if tl.load(flags + row) != 0:
        at, mask_at = offset_of(row, outer, outer_in), offset_of(row, outer, outer_mask)
        source = (logits, at, inner, inner_in, mask, mask_at, inner_mask)
        high = tl.zeros((block,), tl.float64)
        low = tl.zeros((block,), tl.float64)
        for start in range(0, classes, block):
            k = start + tl.arange(0, block)
            x = load_logits(source, k, k < classes, masked).to(tl.float64)
            x = tl.where(x > -1100.0, x, -1100.0)
            product = x * double(1.4426950408889634)
            rest = tl.fma(x, double(1.4426950408889634), -product) + x * double(2.0355273740931033e-17)
            value, lost = exp2(product, rest)
            value = tl.where(k < classes, value, 0.0)
            high, error = two_sum(high, value)
            low += error + tl.where(k < classes, lost, 0.0)
        # the largest sums first lose their one
        difference = (tl.sum(high, axis=0) - 1.0) + tl.sum(low, axis=0)
        above, _ = log1p(tl.where(difference > 0.0, difference, 0.0))
        below, _ = log1p(tl.where(difference < 0.0, -difference / (1.0 + difference), 0.0))
        out = tl.where(difference < 0.0, -below, above).to(tl.float32)
        tl.store(result + offset_of(row, outer, outer_out), rounded(out, result.dtype.element_ty, False))
