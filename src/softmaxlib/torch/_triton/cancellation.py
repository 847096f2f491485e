"""logsumexp from a maximum and a logarithm."""

import triton
import triton.language as tl


@triton.jit
def logsumexp_near_zero(most, log_total, has_nan, bad):
    """Return maximum + log(total) in float32; NaN or the infinity itself where the row has one."""
    out = (most + log_total).to(tl.float32)
    out = tl.where(bad, most.to(tl.float32), out)
    return tl.where(has_nan, float("nan"), out)
