"""Multiply-adds rounded once, in NumPy."""

import numpy as np


def fused(x, y, z):
    """Return x * y + z rounded once."""
    if x.dtype == np.float32:
        product = x.astype(np.float64) * y
        return rounded_to_odd(*_two_sum(product, z.astype(np.float64))).astype(np.float32)
    product = x * y
    (x_high, x_low), (y_high, y_low) = _halves(x), _halves(y)
    lost = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    high, low = _two_sum(z, lost)
    first, second = _two_sum(product, high)
    result = first + rounded_to_odd(*_two_sum(second, low))
    exact = np.isfinite(lost) & np.isfinite(result)
    return np.where(exact, result, x * y + z)


def rounded_to_odd(total, error):
    """Return a sum rounded to odd, from it rounded to nearest and its error (Boldo and Melquiond, 2008)."""
    bits = np.atleast_1d(total).view(np.int64)
    inexact = (error != 0) & (bits & 1 == 0) & np.isfinite(total)
    odd = np.where(inexact, bits + np.where((error > 0) == (total > 0), 1, -1), bits)
    return odd.view(np.float64).reshape(np.shape(total))


def _two_sum(a, b):
    s = a + b
    part = s - a
    return s, (a - (s - part)) + (b - part)


def _halves(x):
    """The number as a sum of two of 26 bits (Veltkamp)."""
    scaled = x * 134217729.0
    high = scaled - (scaled - x)
    return high, x - high
