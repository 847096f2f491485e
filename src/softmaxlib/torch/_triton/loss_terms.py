"""The terms of a row's loss and its derivative, from the sum of its exponentials, in Triton.

With M the largest logit and s the sum of the other exponentials relative to it, the loss of label y is
log1p(s) - (x_y - M), and 1 - p_y is s / (1 + s) where y is the largest: confident rows keep their digits.
"""

import triton
import triton.language as tl

from .arithmetic import double
from .doubles import ratio


@triton.jit
def loss_of_row(own, logit, most, log_high, log_low, z_loss, bad):
    """Return the loss of a row, NaN for a bad one; ``own`` is the weight of its label."""
    log_sum = (most + log_high) + log_low
    loss = own * ((log_high - (logit - most)) + log_low) + (z_loss * own * log_sum) * log_sum
    return tl.where(bad, float("nan"), loss)


@triton.jit
def pulls_of_row(own, logit, most, others, log_high, log_low, z_loss, scale, bad):
    """Return what multiplies the probabilities in a row's derivative, and the derivative at its label.

    The first is relative to exponentials of which the largest is 1.
    """
    others = tl.where(bad, 0.0, others)
    top = 1.0 / (others + 1.0)
    p_high, p_low = ratio(scale[0], scale[1], logit, most, double(0.0))
    p = (p_high + p_low) * top
    complement = tl.where(logit == most, others * top, 1.0 - p)
    penalty = z_loss * own * ((most + log_high) + log_low)
    pull = own + 2.0 * penalty
    return pull * top, 2.0 * penalty * p - own * complement
